"""Raw memory: keeping remote code's objects and numpy's constructor from being used as pointers.

numpy and torch read `__array_interface__` and its kin from any object, and believe the address in
it. Grammar refuses these names in source, but objects that pass arbitrary names through (`self.__dict__`,
a configuration's keyword arguments, `BatchFeature`) would still show them. An *armoured* class has a data
descriptor of each name, which wins over the instance and says that there is no such attribute; and a `__getattr__` of
a library, which Python asks next, is not asked for special names: it may read what a subclass or an item says.

`numpy.ndarray(shape, dtype=object, buffer=...)` makes object pointers of bytes: remote code sees a stand-in.
"""

from __future__ import annotations

import copy
import enum
import functools
import sys
from collections import OrderedDict
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final, NoReturn, final

from ...errors import GuardViolationError
from ...grammar import is_dunder
from ..ownership import context_on_stack, definer, is_remote_globals, owns_class, register_called, share_kind
from ..stand_ins import stand_in
from .honesty import armour_attribute_map, honest_constructor, keep_from_special
from .late import loaded

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
    "transformers.image_utils.SizeDict", "torch.optim.lr_scheduler.LRScheduler", "easydict.EasyDict",
    "addict.addict.Dict",
)  # fmt: skip
#: Their readers look at the namespace of the instance alone, or are armoured by hand (`armour_attribute_map`).
_CAREFUL: Final = (
    "torch.nn.modules.module.Module", "transformers.configuration_utils.PretrainedConfig",
    "transformers.configuration_utils.PreTrainedConfig",
)  # fmt: skip
_READERS: Final = ("__getattr__", "__getattribute__")
#: Where a module keeps what its `__getattr__` finds; others have `data`.
_OF_MODULES: Final = ("_buffers", "_parameters", "_modules")
_EXACT: Final = (dict, OrderedDict)
_NAMING: Final = ("__module__", "__qualname__")  # set by `enum` itself
_WRITERS: Final = "writes an attribute of whatever it is called with"
#: `setattr(module, self.name, self.compute_weight(module))`: a subclass would choose what, its caller where.
_ATTRIBUTE_WRITERS: Final = (
    "torch.nn.utils.weight_norm.WeightNorm", "torch.nn.utils.spectral_norm.SpectralNorm",
    "torch.nn.utils.prune.BasePruningMethod", "torch.nn.utils.prune.L1Unstructured",
    "torch.nn.utils.prune.LnStructured", "torch.nn.utils.prune.RandomUnstructured",
    "torch.nn.utils.prune.RandomStructured", "torch.nn.utils.prune.Identity",
    "torch.nn.utils.prune.PruningContainer", "torch.nn.utils.prune.CustomFromMask",
)  # fmt: skip
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
        if _may_hold(own, self._name):  # put there past `__set__`, as LogRecord takes its `extra`
            raise GuardViolationError(f"attribute {self._name} {_HARM}")
        for held in [own[place] for place in (_OF_MODULES if "_buffers" in own else ("data",)) if place in own]:
            if type(held) not in _INERT and _may_hold(held, self._name):
                raise GuardViolationError(f"item {self._name} {_HARM}")
        raise AttributeError(self._name)

    def __set__(self, instance: object, value: object) -> NoReturn:
        raise GuardViolationError(f"attribute {self._name} {_HARM}")


def _may_hold(mapping: Any, name: str) -> bool:
    """Whether a look-up of `name` may find something: a mapping, or a key, of a remote class answers as it likes."""
    plain = type(mapping) in _EXACT and all(type(key) in _INERT for key in mapping)
    return not plain or name in mapping


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
    for home, name in _library_readers(cls):
        if f"{home.__module__}.{home.__qualname__}" not in _CAREFUL:
            keep_from_special(home, name)


def answers_any_name(cls: type) -> bool:
    """Whether a library's class has a reader or writer of its own, so that instances may answer names of any choice."""
    writer = definer(cls, "__setattr__")
    written = writer is not None and isinstance(writer.__dict__["__setattr__"], FunctionType)
    return written or bool(_library_readers(cls))


def _library_readers(cls: type) -> list[tuple[type, str]]:
    found = [(home, name) for name in _READERS if (home := definer(cls, name)) is not None]
    return [(home, name) for home, name in found
            if isinstance(home.__dict__[name], FunctionType) and not owns_class(home)]  # fmt: skip


def _listing_without(listing: Any, absent: frozenset[str]) -> Any:
    """`dir()` shows no name that cannot be read: torch.compile reads every name that a module lists."""

    @functools.wraps(listing)
    def __dir__(self: object) -> list[str]:
        return [name for name in listing(self) if name not in absent]

    __dir__._armour = True  # type: ignore[attr-defined]  # ours
    return __dir__


def protocol_members(module: Any, real: Callable[..., Any]) -> Callable[..., Any]:
    """`_get_protocol_attrs` of typing: what armour put into a class is nothing that a protocol asks for."""

    @functools.wraps(real)
    def _get_protocol_attrs(cls: type) -> set[str]:
        spaces = [vars(base) for base in cls.__mro__]
        return {name for name in real(cls) if not any(_is_armour(space.get(name)) for space in spaces)}

    return _get_protocol_attrs


def _is_armour(value: object) -> bool:
    return isinstance(value, _Absent | _OfTheClass) or getattr(value, "_armour", False) is True


def armour_classes() -> None:
    """Armour the lenient classes of the libraries that are loaded."""
    for dotted in _LENIENT:
        module, _, name = dotted.rpartition(".")
        cls = getattr(loaded(module), name, None)
        if isinstance(cls, type):
            armour(cls)
            if cls.__name__ in ("PretrainedConfig", "PreTrainedConfig"):
                armour_attribute_map(cls)
    for dotted in _ATTRIBUTE_WRITERS:
        module, _, name = dotted.rpartition(".")
        cls = getattr(loaded(module), name, None)
        if isinstance(cls, type):
            stand_in(cls, _WRITERS, opaque=True)
            share_kind(cls)


def _armour_enums() -> None:
    """`Enum("Name", {"__array_interface__": ...})` sets class attributes of any special name: it sets none.

    And `Enum` writes to what the `__new__` of a class body gives, which it keeps before there is a class. What such a
    call makes is noted as remote code's: the call may say that it is another module's.
    """
    creator: Any = enum.EnumMeta._create_  # type: ignore[attr-defined]  # what `Enum(...)` calls
    namespace: Any = type(enum.EnumMeta.__prepare__("Name", (enum.Enum,)))
    store = namespace.__setitem__
    if getattr(store, "_checked", False):
        return

    @functools.wraps(store)
    def __setitem__(self: object, name: str, value: object) -> None:
        if isinstance(name, str):
            text = str.__str__(name)
            functional = sys._getframe(1).f_code is creator.__code__
            if text in _PROTOCOLS or (functional and is_dunder(text) and text not in _NAMING):
                raise GuardViolationError(f"a member of this name {_HARM}")
            if text == "__new__" and is_remote_globals(id(sys._getframe(1).f_globals)):
                value = honest_constructor(value)
        store(self, name, value)

    @functools.wraps(creator)
    def _create_(cls: Any, class_name: Any, names: Any, *, module: Any = None, **keywords: Any) -> Any:
        frame = sys._getframe(2)  # of `_create_`, of `EnumMeta.__call__`, and of who calls that
        place, context = frame.f_globals.get("__name__"), context_on_stack(frame)
        if context is None:
            return creator(cls, class_name, names, module=module or place, **keywords)
        keywords.pop("qualname", None)
        home = place if is_remote_globals(id(frame.f_globals)) else context.name
        made = creator(cls, class_name, names, module=home, **keywords)
        register_called(made)
        return made

    __setitem__._checked = True  # type: ignore[attr-defined]  # ours
    type.__setattr__(namespace, "__setitem__", __setitem__)
    type.__setattr__(enum.EnumMeta, "_create_", _create_)


def prepare_memory() -> None:
    """Before remote code runs: enumerations, copies of bound methods, the stand-ins of what takes a buffer."""
    _armour_enums()
    stand_in(memoryview, "makes a view of memory that may not be written")
    # Else a copy is `getattr(receiver, function.__name__)`, and remote code chose all three.
    copy._copy_dispatch[MethodType] = copy._copy_immutable  # type: ignore[attr-defined]  # no public name
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        stand_in(numpy.ndarray)
        stand_in(numpy.recarray)  # takes a buffer for object fields, too
