"""Facades: what remote code holds in the place of a module, and tombstones for what it may not have.

Guarantee: remote code never holds a real module. A facade resolves a name lazily, once, against the
policy, and keeps the answer in its `__dict__`, so that later reads run at native speed. It shows a
name only if policy grants it, and, when a wildcard granted it, only if the place where the object
is *defined* is granted too: `transformers.utils.logging.os` does not exist.
"""

from __future__ import annotations

import enum
import importlib
import importlib.util
import operator
import sys
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Final, NoReturn, final

from ..capability import shipped_capabilities
from ..errors import GuardViolationError
from ..flags import FLAGS, KEPT
from ..grammar import is_dunder
from ..refusal_log import LOG
from .armour import armour_libraries
from .armour.late import watch_modules
from .armour.memory import answers_any_name, armour
from .ownership import owns_class
from .parameter_writes import ask_methods, asking_for_targets
from .shown import read_only, share
from .stand_ins import shown_class
from .tombstone import Tombstone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..policy import Granted

#: Values that cannot carry anything with them.
_CONSTANTS: Final = (int, float, complex, str, bytes, bool, type(None), type(NotImplemented), enum.Enum)
#: transformers swaps the functions of these while it loads weights; a remembered answer would be wrong.
_VOLATILE: Final = ("torch.nn.init",)
_MODULE_NAMES: Final = ("__version__", "__name__", "__doc__")


@final
class Facade(ModuleType):
    """A read-only view of the module of the same name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)

    @property  # type: ignore[misc]  # read-only on purpose
    def __class__(self) -> type:
        return ModuleType  # so that nobody can make a facade of something else

    def __getattr__(self, name: str) -> object:
        if id(self) not in _OWNERS:
            raise AttributeError(name)
        return _OWNERS[id(self)][0].attribute(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        error = GuardViolationError(f"attribute {name} of module {self.__name__} may not be changed by remote code")
        raise LOG.record(error)

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def __dir__(self) -> list[str]:
        return [name for name in vars(self) if not name.startswith("__")]

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("cannot pickle 'module' object")

    def __repr__(self) -> str:
        return f"<module {self.__name__!r} (read-only view)>"


@final
class FacadeView:
    """What remote code writes to in the place of a facade: only new names, for classes of its own, and some flags.

    `transformers.MyProcessor = MyProcessor` is how some repositories announce a class. The name is
    then there for this package, and for nobody else.
    """

    __slots__ = ("_facade",)

    def __init__(self, facade: Facade) -> None:
        object.__setattr__(self, "_facade", facade)

    def __setattr__(self, name: str, value: object) -> None:
        facade = object.__getattribute__(self, "_facade")
        facades, module = _OWNERS[id(facade)]
        full = f"{module}.{name}"
        if type(value) in FLAGS.get(full, ()) and facades._granted.allows(full):
            if full not in KEPT:
                setattr(sys.modules[module], name, value)
        elif hasattr(sys.modules[module], name) or not (isinstance(value, type) and owns_class(value)):
            setattr(facade, name, value)  # raises
        vars(facade)[name] = value

    def __delattr__(self, name: str) -> None:
        delattr(object.__getattribute__(self, "_facade"), name)  # raises


#: Facades by `id`, each with the set it belongs to and its true name (`facade.__init__("os")` changes the
#: other one); kept out of their reach, and alive.
_OWNERS: Final[dict[int, tuple[Facades, str]]] = {}


@final
class Facades:
    """All facades of one package: one per module, made on demand.

    `mediated` has makers of replacements by dotted name (``os.listdir``).
    """

    def __init__(self, granted: Granted, mediated: Mapping[str, Callable[[], object]]) -> None:
        self._granted = granted
        self._mediated = mediated
        self._made: dict[str, Facade] = {}
        self._replaced: dict[int, str] = {}
        self._modules = 0

    def import_module(self, name: str) -> Facade | Tombstone:
        """The facade of module `name`, or a tombstone if nothing in it is granted.

        Raises:
            ModuleNotFoundError: there is no such module; code that asks in a `try` finds its way.
        """
        if not self._visible(name):
            if self._exists(name):
                return Tombstone(name, self._granted.source)
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if sys.modules.get(name) is None:
            importlib.import_module(name)
            armour_libraries()
        return self._facade(name)

    def import_top(self, name: str) -> Facade | Tombstone:
        """What `import a.b` binds: `a`, in which `b` is found, if only as a tombstone."""
        parent, _, child = name.rpartition(".")
        if isinstance(self.import_module(name), Tombstone):
            while parent and not self._visible(parent):
                parent, _, child = parent.rpartition(".")
            if parent:
                holder = self.import_module(parent)
                if not hasattr(holder, child):
                    vars(holder)[child] = self._tombstone(f"{parent}.{child}")
        return self.import_module(name.partition(".")[0])

    def import_name(self, module: str, name: str) -> object:
        """What `from module import name` binds.

        Raises:
            ImportError: the module has no such name, as Python would.
        """
        facade = self.import_module(module)
        if module == "operator":
            name = _plain_operator(name)
        if isinstance(facade, Tombstone):
            return getattr(facade, name)
        try:
            return getattr(facade, name)
        except AttributeError:
            pass
        full = f"{module}.{name}"
        if _has_submodule(module, name):
            return self.import_module(full)
        raise ImportError(f"cannot import name {name!r} from {module!r}", name=module)

    def star_names(self, module: str) -> dict[str, object]:
        """What `from module import *` binds: the public names that are granted."""
        facade = self.import_module(module)
        if isinstance(facade, Tombstone):
            return {}
        real = sys.modules[module]
        names = getattr(real, "__all__", None) or [name for name in dir(real) if not name.startswith("_")]
        found = {name: getattr(facade, name, None) for name in names if isinstance(name, str)}
        return {name: value for name, value in found.items() if value is not None and not isinstance(value, Tombstone)}

    def attribute(self, facade: Facade, name: str) -> object:
        """Resolve `name` of `facade` against the policy, and remember the answer."""
        module = _OWNERS[id(facade)][1]
        value = self._resolve(module, name)
        watch_modules()
        if module not in _VOLATILE:
            vars(facade)[name] = value
        return value

    def _resolve(self, module: str, name: str) -> object:
        full = f"{module}.{name}"
        if full in self._mediated and self._granted.names.match(full):
            return self._mediated[full]()
        if name in _MODULE_NAMES or not name.startswith("__"):
            real = getattr(sys.modules[module], name)  # AttributeError as on the real module
        else:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        if isinstance(real, ModuleType):
            # `os.path` is spelled so in policies, and is `posixpath` by its own name.
            name = full if sys.modules.get(full) is real and self._visible(full) else real.__name__
            return self._facade(name) if self._visible(name) else self._tombstone(name)
        if name in _MODULE_NAMES:
            return str(real)
        return self._view(full, real)

    def _view(self, full: str, real: object) -> object:
        match = self._granted.names.match(full)
        if match is None or not self._granted.allows(full):
            return self._tombstone(full)
        if isinstance(real, _CONSTANTS):
            return real
        if isinstance(real, type):
            if issubclass(real, type):
                return self._tombstone(full)  # calling a metaclass makes a class unseen
            armour_libraries()
            if answers_any_name(real):
                armour(real)
        if match == "wildcard" and not self._defined_in_granted_place(real):
            return self._tombstone(full)
        home = _home(real)
        replaced = home if home in self._mediated else self._replaced_names().get(id(real))
        if replaced is not None:
            return self._mediated[replaced]()
        sink = shipped_capabilities().sink(home) if home else None
        if sink is not None and sink.capability not in self._granted.capabilities:
            return self._tombstone(full)  # a sink under another name is a sink
        if isinstance(real, type):
            ask_methods(real)
            return shown_class(real)
        if isinstance(real, FunctionType):
            return asking_for_targets(real)
        share(real)
        return read_only(real)

    def _replaced_names(self) -> dict[int, str]:
        """The functions and classes that have a replacement, by `id`: they have other names, too."""
        if len(sys.modules) != self._modules:
            self._modules = len(sys.modules)
            for full in self._mediated:
                module, _, name = full.rpartition(".")
                real = vars(sys.modules[module]).get(name) if module in sys.modules else None
                if isinstance(real, type | FunctionType | BuiltinFunctionType):
                    self._replaced[id(real)] = full
        return self._replaced

    def _defined_in_granted_place(self, real: object) -> bool:
        home = _home(real)
        if home:
            return self._granted.names.match(home) is not None
        kind = type(real)
        return self._granted.names.match(f"{kind.__module__}.{kind.__qualname__}") is not None or kind.__module__ in (
            "builtins", "torch", "typing", "re",
        )  # fmt: skip

    def _tombstone(self, full: str) -> Tombstone:
        return Tombstone(full, self._granted.source)

    def _visible(self, module: str) -> bool:
        sink = shipped_capabilities().sink(module)
        if sink is not None and sink.capability not in self._granted.capabilities:
            return False
        return self._granted.names.covers_below(module)

    def _facade(self, name: str) -> Facade:
        if name not in self._made:
            facade = Facade(name)
            _OWNERS[id(facade)] = (self, name)
            self._made[name] = facade
        return self._made[name]

    def _exists(self, module: str) -> bool:
        top = module.partition(".")[0]
        try:
            return top in sys.modules or importlib.util.find_spec(top) is not None
        except (ImportError, ValueError):
            return False


def _plain_operator(name: str) -> str:
    """What `operator.__add__` is called without underscores: `add`, the same function."""
    real = vars(operator).get(name) if is_dunder(name) else None
    return real.__name__ if isinstance(real, BuiltinFunctionType) else name


def _has_submodule(module: str, name: str) -> bool:
    return hasattr(sys.modules[module], "__path__") and importlib.util.find_spec(f"{module}.{name}") is not None


def _home(real: object) -> str:
    """Dotted place where a class or function is defined, or an empty string."""
    if not isinstance(real, type | FunctionType | BuiltinFunctionType):
        return ""
    module, name = getattr(real, "__module__", None), getattr(real, "__qualname__", "")
    return f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else ""
