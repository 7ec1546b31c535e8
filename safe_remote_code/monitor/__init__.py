"""The monitor: one PEP 578 audit hook that asks whether remote code is behind an event.

It catches the confused deputy: remote code that talks a granted library function into doing what it
may not do itself. For an event of `RULES`, the stack is walked from the event outwards: a trusted
deputy met first (the import system reading an installed module, the compiler behind
`torch.compile`) settles it, remote code met first lets the policy decide, and anything else costs
one set look-up.

It does not see: native code that raises no audit event, or reads of memory. An audit hook cannot
be removed; whether it enforces is a property of each package's context, which remote code cannot reach.
"""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final, final

from ..events import Event, is_logged, tell
from ..guard.armour.threads import watch_threads
from ..guard.mediated import calls
from ..guard.ownership import context_of_frame, context_of_loader, context_of_thread
from ..guard.saving import context_of_saver
from .audited import changes, path_of
from .deputies import is_deputy, shows_source
from .rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from ..guard.context import PackageContext

_MEDIATED_GLOBALS: Final = vars(calls)


@final
class _Hook:
    """The installed hook. `installed` says whether this process has it."""

    installed = False
    #: Is told of every event that a rule refuses: event, arguments, capability. For detonation only.
    recorder: Callable[[str, tuple[object, ...], str], None] | None = None


def record(recorder: Callable[[str, tuple[object, ...], str], None]) -> None:
    """Tell `recorder` what would be refused, before it is; packages whose monitor wall is off then go on."""
    _Hook.recorder = recorder
    install()


def install() -> None:
    """Install the hook, once for the life of the process."""
    if not _Hook.installed:
        _Hook.installed = True
        sys.addaudithook(_audit)
        watch_threads()  # an event of a thread that is not known would be nobody's


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if event not in RULES:
        return
    context = _responsible(sys._getframe(1), event, arguments)
    if context is None or not (context.monitored or _Hook.recorder):
        return
    capability = RULES[event](context, arguments)
    if is_logged():
        _log(context, event, arguments, capability)
    if capability is not None and capability not in context.granted.capabilities:
        if _Hook.recorder is not None:
            _Hook.recorder(event, arguments, capability)
        if not context.monitored:
            return
        if shows_source(sys._getframe(1), event):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        shown = ", ".join(repr(item)[:120] for item in arguments[:2])
        raise context.violation(f"{event}({shown}) with remote code on the stack", capability, event)


def _log(context: PackageContext, event: str, arguments: tuple[object, ...], capability: str | None) -> None:
    """Tell the audit log what is let through; a denial is told where it is raised."""
    shown = ", ".join(repr(item)[:200] for item in arguments[:2])
    if capability is not None and capability in context.granted.capabilities:
        said = Event(event="granted", name=event, capability=capability, message=f"{event}({shown})")
    elif capability is None and event == "open" and not isinstance(arguments[0], int):
        said = Event(event="opened", name=path_of(arguments[0]) or shown, message=f"mode {arguments[1]!r}")
    else:
        return
    tell(replace(said, source=context.source, digest=context.digest))


def _responsible(frame: FrameType | None, event: str, arguments: tuple[object, ...]) -> PackageContext | None:
    """The package whose code is nearest to the event, unless a trusted deputy is nearer."""
    mediated, called = False, None
    writes = changes(event, arguments)
    reads = event == "open" and not writes
    while frame is not None:
        if (context := context_of_frame(frame, called)) is not None:
            return context
        if writes and (context := context_of_saver(frame)) is not None:
            return context
        if reads and (context := context_of_loader(frame)) is not None:
            return context
        if frame.f_globals is _MEDIATED_GLOBALS:
            mediated = True
        elif reads and str(frame.f_globals.get("__name__")).startswith("huggingface_hub."):
            reads = False  # its token and its cache
        elif not mediated and is_deputy(frame, called, event, arguments):
            return None
        called, frame = frame, frame.f_back
    return context_of_thread()
