"""Guarded code in this process: modules, made once each, under the names that transformers would use.

Rules: a module is in `sys.modules` before its code runs (`typing.get_type_hints` in
`__init_subclass__` needs it); each module runs once; the import machinery finds siblings by a
finder of ours that knows only admitted modules, so neither a module cache on disk, nor
`__pycache__`, nor a `.pyc` in the repository is ever looked at.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import os
import re
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Final, final

from ..errors import RefusedError
from ..guard.armour import armour_libraries, prepare
from ..guard.context import PackageContext
from ..guard.ownership import PACKAGE_PREFIX, register_globals
from ..guard.runtime import Runtime
from ..guard.saving import unguarded_builtins

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..guard import GuardedModule, GuardedPackage
    from ..policy import Policy
    from ..snapshot import Snapshot

_LOCK: Final = threading.RLock()


def package_name(source: str, digest: str) -> str:
    """`transformers_modules.<repository>.<digest>`, each part an identifier, as transformers spells it."""
    parts = source.partition(":")[2].split("/")
    safe = [re.sub(r"\W", lambda odd: {"-": "_hyphen_", ".": "_dot_"}.get(odd[0], "_"), part) for part in parts]
    named = [f"_{part}" if part[:1].isdigit() else part for part in safe]
    return PACKAGE_PREFIX + ".".join([*named, "h" + digest.removeprefix("sha256:")[:16]])


@final
class LoadedPackage:
    """The modules of one guarded package, added as they are admitted, made as they are asked for."""

    def __init__(self, source: str, digest: str, policy: Policy, folder: Path) -> None:
        self.folder = folder
        self.name = package_name(source, digest)
        self.modules: dict[str, GuardedModule] = {}
        self.context = PackageContext(
            source=source,
            digest=digest,
            name=self.name,
            granted=policy.granted(source),
            read_roots={os.path.realpath(folder)},
            monitored=policy.stands("monitor"),
            load=self.module,
        )
        self._policy = policy
        prepare()  # raw memory is kept from remote code by whichever of guard and monitor stands
        guarded = policy.stands("guard")
        self._builtins = Runtime(self.context).builtins if guarded else unguarded_builtins(self.context)
        self._paths: dict[str, str] = {}

    def holds(self, snapshot: Snapshot) -> bool:
        """Whether every file of `snapshot` is here already, admitted and guarded."""
        return all(
            path in self.modules and self.modules[path].file.sha256 == digest
            for path, digest in snapshot.manifest.items()
        )

    def extend(self, package: GuardedPackage) -> None:
        """Add the modules of `package`.

        Raises:
            ValueError: it belongs to another package or policy.
            RefusedError: without a pin, a file has changed since it was loaded.
        """
        admitted = package.admitted
        same = admitted.verified.package_digest == self.context.digest and admitted.policy == self._policy
        if not same or admitted.source != self.context.source:
            raise ValueError("a package is extended by its own modules only")
        for path, module in package.modules.items():
            if self.modules.setdefault(path, module).file.sha256 != module.file.sha256:
                raise RefusedError(
                    f"{path} changed while it was loaded", subject=self.context.source, remedy="try again"
                )
            self._paths[self._module_name(path)] = path

    def _module_name(self, path: str) -> str:
        stem = path.removesuffix(".py").removesuffix("/__init__")
        return f"{self.name}.{stem.replace('/', '.')}"

    def module(self, path: str) -> ModuleType:
        """The module of the file `path`; its code runs if it has not yet.

        Raises:
            KeyError: the package has no such file.
        """
        if path not in self.modules:
            raise KeyError(path)
        return importlib.import_module(self._module_name(path))

    def spec(self, name: str) -> importlib.machinery.ModuleSpec | None:
        """The import machinery's question: what is the module `name`?"""
        path = self._paths.get(name)
        if path is None:
            is_folder = any(known.startswith(f"{name}.") for known in self._paths)
            return importlib.machinery.ModuleSpec(name, None, is_package=True) if is_folder else None
        loader = _Loader(self, path)
        spec = importlib.machinery.ModuleSpec(
            name, loader, origin=str(self.folder / path), is_package=path.endswith("/__init__.py")
        )
        spec.has_location = True
        return spec

    def run(self, module: ModuleType, path: str) -> None:
        """Run the code of `path` in `module`. This is where remote code executes."""
        namespace = vars(module)
        namespace["__builtins__"] = self._builtins
        register_globals(namespace, self.context)
        exec(self.modules[path].code, namespace)
        armour_libraries()  # with what the code has imported, now that it may be called

    def text(self, path: str) -> str:
        """The source of `path`, for `inspect`."""
        return self.modules[path].file.text


@final
class _Loader(importlib.abc.InspectLoader):
    """Loader of one admitted module."""

    def __init__(self, package: LoadedPackage, path: str) -> None:
        self._package = package
        self._path = path

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self._package.folder / self._path)
        self._package.run(module, self._path)

    def get_source(self, fullname: str) -> str:
        return self._package.text(self._path)

    def is_package(self, fullname: str) -> bool:
        return self._path.endswith("/__init__.py")


@final
class _Finder(importlib.abc.MetaPathFinder):
    """Finds modules of loaded packages; while `exclusive`, refuses every other module below their prefix."""

    def __init__(self) -> None:
        self.packages: dict[str, LoadedPackage] = {}
        self.exclusive = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not f"{fullname}.".startswith(PACKAGE_PREFIX):
            return None
        for name, package in self.packages.items():
            if fullname.startswith(f"{name}."):
                return package.spec(fullname)
        if any(f"{name}.".startswith(f"{fullname}.") for name in self.packages):
            # A folder above packages. Without us in charge, what transformers laid on disk there may be found, too.
            native = None if self.exclusive else importlib.machinery.PathFinder.find_spec(fullname, path)
            return native or importlib.machinery.ModuleSpec(fullname, None, is_package=True)
        if self.exclusive and fullname != PACKAGE_PREFIX.rstrip("."):
            raise ModuleNotFoundError(f"{fullname} did not come through the walls", name=fullname)
        return None


_FINDER: Final = _Finder()


def execute(source: str, digest: str, policy: Policy, folder: Path) -> LoadedPackage:
    """An importable package without modules yet; they run when, added, they are first asked for."""
    loaded = LoadedPackage(source, digest, policy, folder)
    with _LOCK:
        if _FINDER not in sys.meta_path:
            sys.meta_path.insert(0, _FINDER)
        known = _FINDER.packages.get(loaded.name)
        if known is not None and known.context.digest != loaded.context.digest:
            raise RefusedError("two packages with one name", subject=loaded.name)
        _forget(loaded.name)
        _FINDER.packages[loaded.name] = loaded
    return loaded


def take_over() -> None:
    """From now on no module below the prefix of remote code is found but ours."""
    with _LOCK:
        if _FINDER not in sys.meta_path:
            sys.meta_path.insert(0, _FINDER)
        _FINDER.exclusive = True


def give_way() -> None:
    """Let transformers find its own modules again; ours stay what they are."""
    with _LOCK:
        _FINDER.exclusive = False
        # Our folders above packages have no place on disk, and would hide that of transformers.
        for name in {known.rpartition(".")[0] for known in _FINDER.packages}:
            while name:
                if getattr(sys.modules.get(name), "__file__", None) is None:
                    sys.modules.pop(name, None)
                name = name.rpartition(".")[0]


def _forget(name: str) -> None:
    for module in [known for known in sys.modules if known.startswith(f"{name}.")]:
        del sys.modules[module]


def package_of_module(name: str) -> LoadedPackage | None:
    """The loaded package that the module `name` belongs to, or None."""
    return next((package for known, package in _FINDER.packages.items() if name.startswith(f"{known}.")), None)
