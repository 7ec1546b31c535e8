"""Threads that remote code starts: whatever function of whose they run, its stack does not show who began it.

Each knows it itself, from its first frame on. Its object does not matter, which may be of a remote class that is equal
to nothing, or be taken out of the lists of `threading`.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, final

from ..ownership import RUNNING, context_on_stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..context import PackageContext


@final
class RemoteThread:
    """What such a thread runs first."""

    def __init__(self, function: Callable[..., object], context: PackageContext) -> None:
        self._function = function
        self._context = context

    def __call__(self, *arguments: object, **keywords: object) -> object:
        RUNNING.context = self._context
        return self._function(*arguments, **keywords)


def watch_threads() -> None:
    """Let `threading` start what remote code asks for as a `RemoteThread`. It starts threads by one of two names."""
    for name in ("_start_new_thread", "_start_joinable_thread"):
        start: Callable[..., object] | None = getattr(threading, name, None)
        if start is not None and not hasattr(start, "noting"):
            setattr(threading, name, _noting(start))


def _noting(start: Callable[..., object]) -> Callable[..., object]:
    def noting(function: Callable[..., object], *arguments: object, **keywords: object) -> object:
        context = context_on_stack(sys._getframe(1))
        return start(function if context is None else RemoteThread(function, context), *arguments, **keywords)

    noting.noting = True  # type: ignore[attr-defined]  # ours
    return noting
