"""The globals that guarded code runs on: builtins, helpers, facades, for one package."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, final

from . import helpers
from .annotations import inert
from .attributes import Attributes
from .builtins import BURIED, plain_builtins
from .facade import Facades
from .kinds import GuardedType, class_of, metaclass, type_of
from .mediated import decorators, deferred, files, libraries, makers, reflection, registries, settings, system
from .mediated.calls import stored
from .saving import class_builders
from .tombstone import Tombstone
from .writes import held_open, write, write_namespace

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from .context import PackageContext


@final
class Runtime:
    """Helpers of one package; `builtins` is what its modules get as `__builtins__`."""

    def __init__(self, context: PackageContext) -> None:
        self._context = context
        self._attributes = Attributes(context)
        # os, sys and importlib replacements exist already; torch's are made when first asked for.
        fixed = (
            files.replacements(context)
            | deferred.replacements(context)
            | settings.replacements()
            | system.replacements(context, self._import_by_name)
            | reflection.replacements(self._import_by_name, self._attributes.load)
        )
        by_name: dict[str, Callable[[], object]] = {
            **{name: (lambda value=value: value) for name, value in fixed.items()},  # type: ignore[misc]  # bound now
            **libraries.replacements(context, self._import_by_name),
            **makers.replacements(context),
            **decorators.replacements(context),
            **registries.replacements(context),
        }
        self._facades = Facades(context.granted, by_name)
        self.builtins = self._builtins(fixed["builtins.open"])

    def _builtins(self, guarded_open: object) -> dict[str, object]:
        context = self._context
        _constant_for_compilers(self._import, self._import_from, self._annotation)
        return {
            **plain_builtins(),
            **deferred.builtins(context),
            **{name: Tombstone(f"builtins.{name}", self._context.source) for name in BURIED},
            **self._attributes.builtins(),
            "open": guarded_open,
            "type": GuardedType,
            helpers.IMPORT: self._import,
            helpers.IMPORT_FROM: self._import_from,
            helpers.IMPORT_STAR: self._import_star,
            helpers.ATTRIBUTE: self._attributes.load,
            helpers.CLASS_OF: class_of,
            helpers.TYPE_OF: type_of,
            helpers.METACLASS: metaclass,
            helpers.WRITE: write,
            helpers.WRITE_NAMESPACE: write_namespace,
            helpers.ANNOTATION: self._annotation,
            **class_builders(self._context),
            helpers.HELD_OPEN: held_open,
            helpers.STORED: lambda name, value: stored(name, value, context),
            helpers.GETATTR: getattr,
            helpers.HASATTR: hasattr,
            helpers.SETATTR: setattr,
        }

    # -- imports --------------------------------------------------------------------------------

    def _import(self, name: str, leaf: bool) -> object:
        return self._facades.import_module(name) if leaf else self._facades.import_top(name)

    def _import_from(self, importer: str, level: int, module: str, name: str) -> object:
        if level == 0:
            return self._facades.import_name(module, name)
        package = self._relative(importer, level, module)
        if package is None or not hasattr(package, name):
            child = self._relative(importer, level, f"{module}.{name}".lstrip("."))
            if child is not None:
                return child
        if package is None:
            raise self._not_found(importer, level, module)
        try:
            return self._attributes.load(package, name)
        except AttributeError:
            raise ImportError(f"cannot import name {name!r} from {package.__name__!r}") from None

    def _import_star(self, importer: str, level: int, module: str) -> None:
        namespace = vars(self._context.load(importer))
        if level == 0:
            found = self._facades.star_names(module)
        else:
            package = self._relative(importer, level, module)
            if package is None:
                raise self._not_found(importer, level, module)
            names = getattr(package, "__all__", None)
            if names is None:
                names = [name for name in vars(package) if not name.startswith("_")]
            # Exact names that source text could spell: `__all__` is the remote code's own, as is `__getattr__`.
            found = {name: self._attributes.load(package, name) for name in names if _is_public(name)}
        namespace.update(found)

    def _relative(self, importer: str, level: int, module: str) -> ModuleType | None:
        folder = posixpath.dirname(importer)
        for _ in range(level - 1):
            folder = posixpath.dirname(folder)
        base = posixpath.join(folder, *module.split(".")) if module else folder
        for path in (f"{base}.py", f"{base}/__init__.py".lstrip("/")):
            try:
                return self._context.load(path)
            except KeyError:
                continue
        return None

    def _import_by_name(self, name: str, package: str | None = None) -> object:
        """`importlib.import_module`."""
        if type(name) is not str:
            raise TypeError("module name must be exactly str")
        prefix = f"{self._context.name}."
        if not name.startswith("."):
            if not name.startswith(prefix):
                return self._facades.import_module(name)
            importer, level, rest = "", 1, name.removeprefix(prefix)
        else:
            if type(package) is not str:
                raise TypeError(f"the 'package' argument is required to perform a relative import for {name!r}")
            rest = name.lstrip(".")
            importer, level = f"{package}.".removeprefix(prefix).replace(".", "/"), len(name) - len(rest)
        module = self._relative(importer, level, rest)
        if module is None:
            raise self._not_found(importer, level, rest)
        return module

    def _not_found(self, importer: str, level: int, module: str) -> ModuleNotFoundError:
        folder = posixpath.dirname(importer).split("/")
        parts = [self._context.name, *folder[: len(folder) - level + 1], *module.split(".")]
        name = ".".join(part for part in parts if part)
        return ModuleNotFoundError(f"No module named {name!r}", name=name)

    # -- annotations ----------------------------------------------------------------------------

    def _annotation(self, importer: str, value: object) -> object:
        return inert(value, vars(self._context.load(importer)), self._attributes.load)


def _is_public(name: object) -> bool:
    return type(name) is str and name.isidentifier() and not name.startswith("__")


def _constant_for_compilers(*functions: Callable[..., object]) -> None:
    """Let torch.compile take an import or an annotation inside a forward as the constant that it is."""
    for function in functions:
        function.__func__.__dict__["_dynamo_marked_constant"] = True  # type: ignore[attr-defined]  # bound methods
