"""Raw memory: keeping remote code's objects and numpy's constructor from being used as pointers.

numpy and torch read `__array_interface__` and its kin from any object, and believe the address in
it. Grammar refuses these names in source, but objects that pass arbitrary names through (`self.__dict__`,
a configuration's keyword arguments, `BatchFeature`) would still show them. An *armoured* class has a data
descriptor of each name, which wins over the instance and says that there is no such attribute.

`numpy.ndarray(shape, dtype=object, buffer=...)` makes object pointers of bytes. Remote code sees a
stand-in that is good for `isinstance`, annotations and comparison, and cannot be called.
"""

from __future__ import annotations

import enum
import functools
import sys
import threading
from collections import OrderedDict
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final, NoReturn, final

from ..errors import GuardViolationError
from ..grammar import is_dunder
from .honesty import armour_wrappers, close_fields
from .lookups import watch_lookups
from .native import watch_native_readers
from .ownership import share_kind
from .withheld import withhold_methods

if TYPE_CHECKING:
    from collections.abc import Callable

_PROTOCOLS: Final = (
    "__array_interface__", "__array_struct__", "__cuda_array_interface__", "__dlpack__", "__dlpack_device__",
    "__buffer__",
)  # fmt: skip
#: Asked of the instance by `copy` and `pickle`, which then call and write what the answer says.
_COPYING: Final = ("__reduce_ex__", "__reduce__")
#: Bases of the library classes whose instances take attributes of any name.
_LENIENT: Final = (
    "transformers.configuration_utils.PretrainedConfig", "transformers.configuration_utils.PreTrainedConfig",
    "transformers.feature_extraction_utils.BatchFeature", "transformers.tokenization_utils_base.BatchEncoding",
    "transformers.utils.generic.ModelOutput", "transformers.generation.configuration_utils.GenerationConfig",
    "argparse.Namespace", "collections.UserDict", "torch.nn.modules.module.Module", "logging.LogRecord",
    "transformers.image_processing_base.ImageProcessingMixin", "transformers.processing_utils.ProcessorMixin",
    "transformers.feature_extraction_utils.FeatureExtractionMixin",
    "transformers.tokenization_utils_base.PreTrainedTokenizerBase",
    "transformers.utils.quantization_config.QuantizationConfigMixin", "transformers.video_utils.VideoMetadata",
    "transformers.image_utils.SizeDict", "torch.optim.lr_scheduler.LRScheduler",
)  # fmt: skip
#: Where a module keeps what its `__getattr__` finds; others have `data`.
_OF_MODULES: Final = ("_buffers", "_parameters", "_modules")
_EXACT: Final = (dict, OrderedDict)
_NAMING: Final = ("__module__", "__qualname__")  # set by `enum` itself
_HARM: Final = "would hand raw memory to numpy, or choose what runs when this is copied"
_INERT: Final = (list, tuple, str, int, float, bool, type(None))


@final
class _Absent:
    """A data descriptor for an attribute that is not there, whatever the instance holds."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> NoReturn:
        # Where the class has `__getattr__` over items (BatchFeature.data, Module._buffers), it would answer an
        # AttributeError; and so would a mapping of the caller's own, whatever it says now.
        own = getattr(instance, "__dict__", {})
        if self._name in own:  # put there past `__set__`, as LogRecord takes its `extra`
            raise GuardViolationError(f"attribute {self._name} {_HARM}")
        for held in [own[place] for place in (_OF_MODULES if "_buffers" in own else ("data",)) if place in own]:
            if type(held) not in _INERT and (type(held) not in _EXACT or self._name in held):
                raise GuardViolationError(f"item {self._name} {_HARM}")
        raise AttributeError(self._name)

    def __set__(self, instance: object, value: object) -> NoReturn:
        raise GuardViolationError(f"attribute {self._name} {_HARM}")


@final
class _OfTheClass:
    """A data descriptor for an attribute that an instance has from its class, whatever its own namespace holds."""

    def __init__(self, name: str, inherited: Any) -> None:
        self._name = name
        self._inherited = inherited

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self._inherited.__get__(instance, owner)

    def __set__(self, instance: object, value: object) -> NoReturn:
        raise GuardViolationError(f"attribute {self._name} would choose what runs when this is copied")


def armour(cls: type) -> None:
    """Make the memory protocols absent on instances of `cls` and its subclasses, unless it defines them itself.

    What `copy` and `pickle` ask of an instance is what its class says.
    """
    for name in _COPYING:
        defined = next((base.__dict__[name] for base in cls.__mro__ if name in base.__dict__), None)
        if defined is not None and not isinstance(defined, _OfTheClass):
            type.__setattr__(cls, name, _OfTheClass(name, defined))
    absent = [name for name in _PROTOCOLS if not any(name in base.__dict__ for base in cls.__mro__)]
    for name in absent:
        type.__setattr__(cls, name, _Absent(name))
    if absent:
        type.__setattr__(cls, "__dir__", _listing_without(cls.__dir__, frozenset(absent)))


def _listing_without(listing: Any, absent: frozenset[str]) -> Any:
    """`dir()` shows no name that cannot be read: torch.compile reads every name that a module lists."""

    @functools.wraps(listing)
    def __dir__(self: object) -> list[str]:
        return [name for name in listing(self) if name not in absent]

    return __dir__


def armour_libraries() -> None:
    """Armour the lenient classes of the libraries that are loaded."""
    watch_native_readers()
    withhold_methods()
    watch_lookups()
    for dotted in _LENIENT:
        module, _, name = dotted.rpartition(".")
        cls = getattr(sys.modules.get(module), name, None)
        if isinstance(cls, type):
            armour(cls)
    for dotted in _ATTRIBUTE_WRITERS:
        module, _, name = dotted.rpartition(".")
        cls = getattr(sys.modules.get(module), name, None)
        if isinstance(cls, type):
            stand_in(cls, _WRITERS)
            share_kind(cls)


def _armour_enums() -> None:
    """`Enum("Name", {"__array_interface__": ...})` sets class attributes of any special name: it sets none."""
    namespace: Any = type(enum.EnumMeta.__prepare__("Name", (enum.Enum,)))
    store = namespace.__setitem__
    if getattr(store, "_checked", False):
        return

    @functools.wraps(store)
    def __setitem__(self: object, name: str, value: object) -> None:
        if isinstance(name, str):
            text = str.__str__(name)
            functional = sys._getframe(1).f_code is enum.EnumMeta._create_.__code__  # type: ignore[attr-defined]
            if text in _PROTOCOLS or (functional and is_dunder(text) and text not in _NAMING):
                raise GuardViolationError(f"a member of this name {_HARM}")
        store(self, name, value)

    __setitem__._checked = True  # type: ignore[attr-defined]  # ours
    type.__setattr__(namespace, "__setitem__", __setitem__)


class _StandInMeta(type):
    """A class that stands for another in questions about types, and for nothing else."""

    def __call__(cls, *arguments: object) -> object:
        if cls in _MAKERS:
            return _MAKERS[cls](*arguments)
        raise GuardViolationError(f"{cls.__name__}() {_WHY[cls]}")

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _REAL[cls])

    def __subclasscheck__(cls, subclass: type) -> bool:
        return subclass is cls or issubclass(subclass, _REAL[cls])

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__") or _REAL[cls].__qualname__ in _OPAQUE:
            raise AttributeError(name)
        return getattr(_REAL[cls], name)


_REAL: Final[dict[type, type]] = {}
_STAND_INS: Final[dict[type, type]] = {}
_WHY: Final[dict[type, str]] = {}
#: What a call makes after all, of arguments that it checks.
_MAKERS: Final[dict[type, Callable[..., object]]] = {}
_BUFFERS: Final = "takes a buffer as raw memory; use numpy.array, zeros, empty or asarray"
_WRITERS: Final = "writes an attribute of whatever it is called with"
#: `setattr(module, self.name, self.compute_weight(module))`: a subclass would choose what, its caller where.
_ATTRIBUTE_WRITERS: Final = (
    "torch.nn.utils.weight_norm.WeightNorm", "torch.nn.utils.spectral_norm.SpectralNorm",
    "torch.nn.utils.prune.BasePruningMethod", "torch.nn.utils.prune.L1Unstructured",
    "torch.nn.utils.prune.LnStructured", "torch.nn.utils.prune.RandomUnstructured",
    "torch.nn.utils.prune.RandomStructured", "torch.nn.utils.prune.Identity",
    "torch.nn.utils.prune.PruningContainer", "torch.nn.utils.prune.CustomFromMask",
)  # fmt: skip
_OPAQUE: Final = frozenset(name.rpartition(".")[2] for name in _ATTRIBUTE_WRITERS)


def _refuse_subclass(cls: type, **_: object) -> NoReturn:
    raise GuardViolationError("a subclass would have what its stand-in keeps away")


def stand_in(real: type, why: str = _BUFFERS, maker: Callable[..., object] | None = None) -> type:
    """What remote code gets in the place of the class `real`; called, it is `maker`, or an error that says `why`."""
    if real not in _STAND_INS:
        made = _StandInMeta(real.__name__, (), {"__module__": real.__module__, "__init_subclass__": _refuse_subclass,
                                                "__class_getitem__": classmethod(lambda cls, item: cls)})  # fmt: skip
        _REAL[made], _WHY[made] = real, why
        if maker is not None:
            _MAKERS[made] = maker
        _STAND_INS[real] = made
    return _STAND_INS[real]


def shown_class(cls: type) -> type:
    """`cls`, or the stand-in that remote code knows it by."""
    return _STAND_INS.get(cls, cls)


def real_class(cls: type) -> type:
    """The class that `cls` stands in for, or `cls` itself."""
    return _REAL.get(cls, cls)


def is_withheld(constructor: object) -> bool:
    """Whether `constructor` is the `__new__` of a class that remote code knows by its stand-in only.

    It may be reached through a subclass: `super(np.matrix, np.matrix).__new__`.
    """
    return getattr(constructor, "__self__", None) in _STAND_INS


def _bound(function: object, instance: object) -> MethodType:
    """`types.MethodType` of a real function: what copies a method believes the `__name__` of any other object."""
    if type(function) not in (FunctionType, BuiltinFunctionType, MethodType):
        raise TypeError("a method is made of a function")
    return MethodType(function, instance)  # type: ignore[arg-type]  # callable, as checked


def prepare() -> None:
    """Before remote code runs: armour the loaded libraries, put the stand-in of `numpy.ndarray` in place."""
    armour_libraries()
    close_fields()
    share_kind(type(threading.main_thread()))
    _armour_enums()
    armour_wrappers()
    stand_in(memoryview, "makes a view of memory that may not be written")
    stand_in(MethodType, maker=_bound)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        stand_in(numpy.ndarray)
        stand_in(numpy.recarray)  # takes a buffer for object fields, too
