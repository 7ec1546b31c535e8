"""Armour for what is loaded later: a module that was looked for in vain is armoured as soon as it is there.

Whoever loads it: `torch.compile` by the user loads Inductor long after remote code has said what it wants compiled.
"""

from __future__ import annotations

import importlib.abc
import sys
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_WANTED: Final[set[str]] = set()


def loaded(name: str) -> Any:
    """The module of that name; None, and waited for, if it is not loaded."""
    module = sys.modules.get(name)
    if module is None:
        _WANTED.add(name)
    return module


@final
class _Finder(importlib.abc.MetaPathFinder):
    """Finds nothing itself: what the others find is loaded by their loader, and then armoured."""

    def __init__(self, arm: Callable[[], None]) -> None:
        self._arm = arm

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _WANTED:
            return None
        for finder in sys.meta_path:
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find is None else find(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, self._arm)
                return spec
        return None


@final
class _Loader(importlib.abc.Loader):
    """Loads as `real` does, and steps out of the way."""

    def __init__(self, real: Any, arm: Callable[[], None]) -> None:
        self._real = real
        self._arm = arm

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._real.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._real
        module.__loader__ = self._real
        self._real.exec_module(module)
        _WANTED.discard(module.__name__)
        self._arm()


def watch_imports(arm: Callable[[], None]) -> None:
    """Call `arm` after each module that was waited for, from now on."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(arm))
