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
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    Watch = Callable[[str, dict[str, Any]], None]
    After = Callable[[ModuleType, bool], None]

_WANTED: Final[set[str]] = set()
#: Of this thread: how deep it is in imports, and whether one of them brought a module that was looked for in vain.
_IMPORTING: Final = threading.local()


def loaded(name: str) -> Any:
    """The module of that name; None, and waited for, if it is not loaded."""
    module = sys.modules.get(name)
    if module is None:
        _WANTED.add(name)
    return module


@final
class _Finder(importlib.abc.MetaPathFinder):
    """Finds nothing itself: what the others find is loaded by their loader, and armoured."""

    def __init__(self, watch: Watch, after: After) -> None:
        self._watch = watch
        self._after = after

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        for finder in sys.meta_path:
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find is None else find(fullname, path, target)
            if spec is not None:
                if isinstance(spec.loader, SourceFileLoader):
                    spec.loader = _Loader(spec.loader, self._watch, self._after)
                return spec
        return None


@final
class _Loader(importlib.abc.Loader):
    """Loads as `real` does, and steps out of the way."""

    def __init__(self, real: Any, watch: Watch, after: After) -> None:
        self._real = real
        self._watch = watch
        self._after = after

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
        self._watch(name, vars(module))
        if name in _WANTED:
            _WANTED.discard(name)
            _IMPORTING.looked_for = True
        # Once for all that one import brings: no remote code runs before its end.
        looked_for = depth == 1 and getattr(_IMPORTING, "looked_for", False)
        if looked_for:
            _IMPORTING.looked_for = False
        self._after(module, looked_for)


def watch_imports(watch: Watch, after: After) -> None:
    """From now on, call `watch` with name and namespace of each module of source whose body has run.

    And `after` with the module, and whether it ends an import that brought what was looked for in vain.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(watch, after))
