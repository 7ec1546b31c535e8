"""Armour for what is loaded later, whoever loads it.

`torch.compile` by the user loads Inductor long after remote code has said what it wants compiled, and a library loads
the module of a model in the middle of a call. Each module of an installed library gets what `lookups.py` gives it
when its body has run, and one that was looked for in vain is armoured at the end of the import that brings it.
"""

from __future__ import annotations

import importlib.abc
import sys
import threading
from importlib.machinery import SourceFileLoader
from itertools import islice
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, final

from . import caches, defaults, lookups

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec

_watched: int = 0
_WANTED: Final[set[str]] = set()
#: Of this thread: how deep it is in imports, and whether one of them brought a module that was looked for in vain.
_IMPORTING: Final = threading.local()


def loaded(name: str) -> Any:
    """The module of that name; None, and waited for, if it is not loaded."""
    module = sys.modules.get(name)
    if module is None:
        _WANTED.add(name)
    return module


def watch_modules() -> None:
    """Armour the modules that were loaded since this was called last."""
    global _watched
    known = len(sys.modules)
    if known == _watched:
        return
    # New modules stand at the end; where some were taken out, all are looked at again.
    for name, module in list(islice(sys.modules.items(), _watched if known > _watched else 0, None)):
        if isinstance(module, ModuleType):
            _watch(name, module)
    _watched = known


def _watch(name: str, module: ModuleType) -> None:
    lookups.watch_module(name, vars(module))
    caches.watch_module(module)
    defaults.watch_module(module)


@final
class _Finder(importlib.abc.MetaPathFinder):
    """Finds nothing itself: what the others find is loaded by their loader, and armoured."""

    def __init__(self, arm: Callable[[], None]) -> None:
        self._arm = arm

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        for finder in sys.meta_path:
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find is None else find(fullname, path, target)
            if spec is not None:
                if isinstance(spec.loader, SourceFileLoader):
                    spec.loader = _Loader(spec.loader, self._arm)
                return spec
        return None


@final
class _Loader(importlib.abc.Loader):
    """Loads as `real` does, and steps out of the way."""

    def __init__(self, real: Any, arm: Callable[[], None]) -> None:
        self._real = real
        self._arm = arm

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)  # `get_code`, for `runpy`, and `get_data`

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._real.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._real
        module.__loader__ = self._real
        name = module.__name__
        _IMPORTING.depth = depth = getattr(_IMPORTING, "depth", 0) + 1
        try:
            self._real.exec_module(module)
        finally:
            _IMPORTING.depth = depth - 1
        _watch(name, module)
        if name in _WANTED:
            _WANTED.discard(name)
            _IMPORTING.looked_for = True
        # Once for all that one import brings: no remote code runs before its end.
        if depth == 1 and getattr(_IMPORTING, "looked_for", False):
            _IMPORTING.looked_for = False
            self._arm()


def watch_imports(arm: Callable[[], None]) -> None:
    """From now on, armour each module of source when its body has run.

    And call `arm` at the end of an import that brought what was looked for in vain.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(arm))
