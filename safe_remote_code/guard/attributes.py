"""Attribute access that must know the receiver: one resolver for every read and write.

`getattr`, `setattr`, `hasattr`, `delattr`, the rewritten loads of sensitive names, the wrappers of
`__getattribute__` and its kin, and format strings all end here (KNOWN_ESCAPES: every reflective
builtin goes through the same guard as the dot).
"""

from __future__ import annotations

import copy
import enum
import logging
import operator
import sys
import types
import typing
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, MethodType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Final, final

from ..capability import shipped_capabilities
from ..errors import GuardViolationError
from ..grammar import CHECKED, refused_attribute, refused_attribute_store
from ..refusal_log import LOG
from . import ownership
from .facade import Facade, FacadeView
from .formats import checked_format
from .mediated.calls import mediated_call
from .mediated.registries import guarded_register
from .native import reads_when_made
from .ownership import Sealed, definer, descends_from_own, is_remote_globals, owns_callable, owns_class
from .receivers import loaded_classes
from .refusal import refuse
from .stand_ins import is_withheld, real_class, shown_class

if TYPE_CHECKING:
    from collections.abc import Callable

    from .context import PackageContext

_MISSING: Final = object()
#: `Counter[int]`: reads, and for those of `typing` writes as well, go on to the class that it stands for.
_ALIASES: Final = (types.GenericAlias, typing._BaseGenericAlias)  # type: ignore[attr-defined]  # typing's own
#: Objects whose attributes belong to the whole process, or to us.
_SHARED: Final = (
    type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, logging.Logger, logging.Handler, Sealed, *_ALIASES,
)  # fmt: skip
#: Kinds of Python's own of which code makes instances to write to; all others hang on modules and classes, too.
_NAMESPACES: Final = frozenset(
    ["types.SimpleNamespace", "argparse.Namespace", "threading.Thread", "threading.Timer", "threading.local",
     "_thread._local", "_thread.local", "collections.OrderedDict", "collections.defaultdict", "collections.UserDict",
     "collections.UserList", "collections.Counter", "random.Random", "queue.Queue", "_io.StringIO", "_io.BytesIO",
     "functools.partial", "string.Template", "json.encoder.JSONEncoder", "json.decoder.JSONDecoder"]
)  # fmt: skip
#: That change nothing but what they were given.
_HARMLESS_CONTEXTS: Final = frozenset(
    ["contextlib.nullcontext", "contextlib.suppress", "contextlib.closing",
     "torch.autograd.grad_mode.no_grad", "torch.autograd.grad_mode.inference_mode",
     "torch.autograd.grad_mode.enable_grad"]
)  # fmt: skip
#: An AttributeError, as natively.
_WITHOUT_ATTRIBUTES: Final = (
    int,
    float,
    complex,
    bool,
    str,
    bytes,
    list,
    tuple,
    dict,
    set,
    frozenset,
    type(None),
    range,
)
#: Libraries' objects of which there is one for all, by the module of their class.
_OF_THE_PROCESS: Final = (
    "torch.distributions.constraints.", "torch.distributions.utils.", "torch.distributions.transforms.",
    "torch.distributions.constraint_registry.", "torch.distributed.tensor.", "torch._ops.", "torch.library.",
    "torch._subclasses.", "torch._guards.", "torch._library.", "transformers.utils.output_capturing.",
    "transformers.pipelines.base.", "huggingface_hub.", "_cython_",
)  # fmt: skip
_READERS: Final = frozenset([operator.attrgetter, operator.itemgetter, operator.methodcaller])
#: Of `scipy.stats.norm` and its like: `exec(self._parse_arg_template)` wherever one is made or copied.
_EXECUTING: Final = frozenset(
    ["scipy.stats._continuous_distns", "scipy.stats._discrete_distns", "scipy.stats._distn_infrastructure"]
)
#: Their `__getattr__` or `__getattribute__` answers with what the instance itself holds.
_HOLDERS: Final = frozenset(
    ["torch.nn.modules.module.Module", "transformers.feature_extraction_utils.BatchFeature",
     "transformers.tokenization_utils_base.BatchEncoding", "transformers.configuration_utils.PretrainedConfig",
     "transformers.configuration_utils.PreTrainedConfig"]
)  # fmt: skip
_PLAIN_TYPES: Final = (int, float, complex, bool, str, bytes, list, tuple, dict, set, frozenset, type(None), None)
_OPAQUE: Final = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, FrameType, CodeType, TracebackType)


def check_name(name: object, *, store: bool = False) -> str:
    """`name` as an exact `str` that may be read (or stored to).

    Raises:
        TypeError: not exactly a `str`; a subclass can lie about what it is (RestrictedPython PR #282).
        GuardViolationError: no code may use this name.
    """
    if type(name) is not str:
        raise TypeError("attribute name must be exactly str")
    why = refused_attribute_store(name) if store else refused_attribute(name)
    if why:
        refuse(f"attribute {name!r} {why}")
    return name


def write(receiver: object) -> object:
    """`receiver`, if remote code may set or delete attributes of it.

    Raises:
        GuardViolationError: a module, or a class, function or logger that it does not own.
    """
    if isinstance(receiver, _SHARED):
        return _write_shared(receiver)
    if isinstance(receiver, ownership.shared_kinds) and not owns_class(type(receiver)):
        return _write_shared(receiver)
    if not _may_change(type(receiver)):
        return _write_shared(receiver)
    return receiver


def _may_change(kind: type) -> bool:
    """Whether instances of `kind` are things that code makes for itself and adds attributes to."""
    place = kind.__module__
    if place.startswith(ownership.PACKAGE_PREFIX):
        return True
    if issubclass(kind, BaseException):
        return True
    if kind in _WITHOUT_ATTRIBUTES:
        return True
    if place.partition(".")[0] in sys.stdlib_module_names:
        return f"{place}.{kind.__qualname__}" in _NAMESPACES
    return not issubclass(kind, enum.Enum) and not f"{place}.".startswith(_OF_THE_PROCESS)


def _write_shared(receiver: object) -> object:
    if isinstance(receiver, Facade):
        return FacadeView(receiver)
    own = (isinstance(receiver, type) and owns_class(receiver)) or (
        isinstance(receiver, FunctionType) and is_remote_globals(id(receiver.__globals__))
    )
    if not own:
        name = getattr(receiver, "__qualname__", None) or getattr(receiver, "__name__", type(receiver).__name__)
        kind = "module" if isinstance(receiver, ModuleType) else type(receiver).__name__
        error = GuardViolationError(
            f"remote code may not change {kind} {name}, which it does not own",
            remedy="subclass it, or set the attribute on an instance of your own",
        )
        raise LOG.record(error)
    return receiver


def write_namespace(receiver: object) -> object:
    """`receiver`, if remote code may replace its `__dict__`: an instance of a remote class, which is armoured.

    Raises:
        GuardViolationError: anything else, such as a function of its own, which numpy would ask for an address.
    """
    if not ownership.is_finished(type(receiver)):
        refuse(f"__dict__ of a {type(receiver).__name__} may not be replaced")
    return write(receiver)


def held_open(context: object) -> object:
    """`context`, for a `with` block that yields: a generator that nobody resumes never leaves it.

    Raises:
        GuardViolationError: a library's context, such as `torch.device("meta")`, which would stay in force.
    """
    kind = type(context)
    harmless = kind.__module__ in ("_io", "_thread") or f"{kind.__module__}.{kind.__qualname__}" in _HARMLESS_CONTEXTS
    home = definer(kind, "__enter__")
    own = home is not None and owns_callable(type.__getattribute__(home, "__dict__")["__enter__"])
    if not (harmless or own or isinstance(context, Sealed)):
        refuse(f"a block that yields, inside {kind.__qualname__}, which may stay open for the whole process")
    return context


def class_of(receiver: object) -> type:
    """`receiver.__class__`, unless it is a metaclass (whose call makes classes unseen)."""
    if isinstance(receiver, type | ModuleType):
        return _class_of_special(receiver)
    return _shown(receiver.__class__)


def type_of(receiver: object) -> type:
    """`type(receiver)`, unless it is a metaclass."""
    if isinstance(receiver, type | ModuleType):
        return _class_of_special(receiver)
    return _shown(type(receiver))


def _shown(cls: type) -> type:
    if cls.__module__ in _EXECUTING:
        refuse(f"the class {cls.__qualname__} of this object, which executes text of its instances")
    if issubclass(cls, Sealed):  # its constructor takes what only we may give it
        refuse(f"the class {cls.__qualname__} of this object, which stands in for a library's")
    if cls.__module__ == "typing" and cls.__name__.startswith("_"):  # `copy` calls what an instance of one names
        refuse(f"the class {cls.__qualname__} of this object, which is typing's own")
    if cls in _READERS:  # `Path.drive.fget` is an attrgetter: its class would make others
        refuse(f"the class {cls.__qualname__} of this object, which reads attributes by computed name")
    return shown_class(cls)


def _class_of_special(receiver: object) -> type:
    if isinstance(receiver, type):
        refuse(f"the metaclass of {receiver.__qualname__} may not be reached")
    return ModuleType


class _TypeMeta(type):
    def __call__(cls, *arguments: object) -> type:
        if len(arguments) != 1:
            refuse("type() takes one argument here; write a class statement")
        return type_of(arguments[0])

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, type)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, type)


@final
class GuardedType(metaclass=_TypeMeta):
    """`type`, as remote code sees it: one argument, no metaclass, usable in `isinstance`."""

    def __class_getitem__(cls, item: object) -> object:
        return typing.Type[item]  # noqa: UP006  # `type[item](...)` would call the real type

    def __init_subclass__(cls) -> None:
        refuse("a metaclass may not be defined")


@final
class Attributes:
    """The attribute functions of one package."""

    def __init__(self, context: PackageContext) -> None:
        self._context = context
        self._sensitive = shipped_capabilities().attributes

    # -- the builtins ---------------------------------------------------------------------------

    def builtins(self) -> dict[str, Callable[..., object]]:
        """Checked `getattr`, `hasattr`, `setattr` and `delattr`."""
        load, plain = self.load, self._is_plain

        def guarded_getattr(receiver: object, name: str, default: object = _MISSING) -> object:
            if plain(name):
                return getattr(receiver, name) if default is _MISSING else getattr(receiver, name, default)
            try:
                return load(receiver, name)
            except AttributeError:
                if default is _MISSING:
                    raise
                return default

        def guarded_hasattr(receiver: object, name: str) -> bool:
            if type(name) is not str:
                raise TypeError("attribute name must be exactly str")
            return hasattr(receiver, name)

        def guarded_setattr(receiver: object, name: str, value: object) -> None:
            key = check_name(name, store=True)
            setattr(write_namespace(receiver) if key == "__dict__" else write(receiver), key, value)

        def guarded_delattr(receiver: object, name: str) -> None:
            key = check_name(name, store=True)
            delattr(write_namespace(receiver) if key == "__dict__" else write(receiver), key)

        return {
            "getattr": guarded_getattr,
            "hasattr": guarded_hasattr,
            "setattr": guarded_setattr,
            "delattr": guarded_delattr,
        }

    def _is_plain(self, name: object) -> bool:
        check_name(name)
        return name not in CHECKED and name not in self._sensitive

    # -- loads of sensitive names ---------------------------------------------------------------

    def load(self, receiver: object, name: str) -> object:
        """`receiver.name` for any name, under all rules.

        Raises:
            GuardViolationError: not granted.
            AttributeError: there is no such attribute.
        """
        check_name(name)
        if name in CHECKED:
            return self._load_checked(receiver, name)
        if name in self._sensitive and not isinstance(receiver, Facade):
            return self._load_sensitive(receiver, name)
        return getattr(receiver, name)

    def _load_checked(self, receiver: object, name: str) -> object:
        if name == "__class__":
            return class_of(receiver)
        if name in ("format", "format_map"):
            return self._formatter(receiver, name)
        if name == "obj":
            if isinstance(receiver, BaseException):
                refuse("exceptions do not hand out the object that they failed on (CVE-2024-47532)")
            return getattr(receiver, name)
        if name == "__dict__":
            return self._namespace(receiver)
        if name == "__annotations__":
            return _annotated(receiver)
        if name == "__get__":
            return _binder(receiver)
        value = getattr(receiver, name)
        if owns_callable(value) or isinstance(receiver, Facade):
            return value
        if name in ("__enter__", "__exit__"):
            refuse(f"{name} of a library's context: what it opens, a with statement closes")
        if name in ("__init__", "__post_init__"):
            return _initializer(receiver, value)
        if name in ("__setitem__", "__delitem__"):
            return _of_instance(receiver, value)
        if name == "register":
            return guarded_register(receiver, value, self._context) if callable(value) else value
        if name in ("__getattr__", "__getattribute__"):
            return self._reader(receiver, value)
        if name in ("__setattr__", "__delattr__"):
            return _writer(receiver, value, 3 if name == "__setattr__" else 2)
        if name == "__new__":
            return _constructor(value)
        if name == "__init_subclass__":
            return _of_own_class(value)
        return _of_own_instance(receiver, value, name)

    def _load_sensitive(self, receiver: object, name: str) -> object:
        entry = self._sensitive[name]
        value = getattr(receiver, name)
        if entry.kind == "instance" and not isinstance(receiver, (type, super, *_ALIASES)):
            return value  # first, and in words that torch.compile understands: `past_key_values.update(...)`
        if entry.capability in self._context.granted.capabilities:
            return value
        forwarded = _is_forwarded(receiver, name)
        if entry.receivers and not forwarded and not _is_one_of(receiver, entry.receivers):
            return value
        if entry.kind == "instance":
            return _of_instance(receiver, value)
        if not forwarded and self._is_own(receiver, name, held=bool(entry.receivers)):
            # What remote code made, it may hold; but a saving method of its own, when remote code
            # calls it, is not a call by the user and opens no folder for writing.
            return (
                mediated_call(value, None, self._context) if entry.kind == "write-path" and callable(value) else value
            )
        if isinstance(value, int | float | str | bytes | bool | type(None)):
            return value
        if entry.kind == "copy":
            return copy.deepcopy(value) if entry.receivers or _is_of_class(receiver, name, value) else value
        if entry.kind == "refused" or not callable(value):
            kind = getattr(receiver, "__qualname__", type(receiver).__qualname__)
            what = f"{name} of {kind} is not granted ({entry.why})"
            raise self._context.violation(what, entry.capability, name)
        return mediated_call(value, entry.kind, self._context, _behind(receiver))

    def _is_own(self, receiver: object, name: str, *, held: bool) -> bool:
        """Whether `receiver.name` is something that the remote code itself put there.

        `held`: instances of a library's class keep it, so an instance of a subclass has it from there.
        """
        if isinstance(receiver, super):
            return False
        kind = receiver if isinstance(receiver, type) else type(receiver)
        home = definer(kind, name)
        return owns_class(kind) and not held if home is None else owns_class(home)

    def _namespace(self, receiver: object) -> object:
        if isinstance(receiver, _OPAQUE):
            refuse(f"the namespace of a {type(receiver).__name__} may not be reached")
        namespace = receiver.__dict__
        if ownership.is_finished(type(receiver)):
            return namespace
        return {
            name: value
            for name, value in namespace.items()
            if type(name) is str and name not in self._sensitive and not refused_attribute(name)
        }

    def _reader(self, receiver: object, value: Callable[..., object]) -> Callable[..., object]:
        load = self.load

        def read(*arguments: object) -> object:
            target = receiver_of(receiver, value, arguments, 2)
            name = arguments[-1]
            if type(name) is not str:
                raise TypeError("attribute name must be exactly str")
            if owns_class(type(target)) and name not in self._sensitive:
                return value(*arguments)  # of its own instance, anything that an instance has
            if name in CHECKED or name in self._sensitive:
                return load(target, name)
            check_name(name)
            return value(*arguments)

        return read

    def _formatter(self, receiver: object, name: str) -> object:
        value = getattr(receiver, name)
        if isinstance(receiver, str):
            text = str.__str__(receiver)
            return checked_format(getattr(text, name), text)
        if isinstance(receiver, type) and issubclass(receiver, str):
            return checked_format(getattr(str, name), None)
        return value


def _is_of_class(receiver: object, name: str, value: object) -> bool:
    """Whether `receiver` has `value` from a class, and does not hold it itself."""
    cls = receiver if isinstance(receiver, type) else type(receiver)
    home = definer(real_class(cls), name)
    if home is None:
        return isinstance(receiver, (type, super, *_ALIASES))
    held = getattr(receiver, "__dict__", {}) if not isinstance(receiver, type) else {}
    return type.__getattribute__(home, "__dict__")[name] is value or held.get(name) is not value


def _behind(receiver: object) -> object:
    """The object that a `super()` or an alias speaks for, or `receiver` itself."""
    if issubclass(type(receiver), super):
        return super.__dict__["__self__"].__get__(receiver)
    while issubclass(type(receiver), _ALIASES):
        if isinstance(receiver, types.GenericAlias):
            receiver = types.GenericAlias.__dict__["__origin__"].__get__(receiver)
        else:
            receiver = object.__getattribute__(receiver, "__dict__").get("__origin__")
    return receiver


def _is_forwarded(receiver: object, name: str) -> bool:
    """Whether `receiver` has `name` of an object that it wraps (an alias, `OptimizedModule`), and not of its own."""
    if isinstance(receiver, type | super | Sealed):
        return False
    kind = type(receiver)
    try:
        held = object.__getattribute__(receiver, "__dict__")
    except AttributeError:
        held = {}
    if name in held or definer(kind, name) is not None:
        return False
    reader = definer(kind, "__getattr__")
    answers = [definer(kind, "__getattribute__") or object, *([] if reader is None else [reader])]
    return answers == [object] or not all(
        cls is object or owns_class(cls) or f"{cls.__module__}.{cls.__qualname__}" in _HOLDERS for cls in answers
    )


def _is_one_of(receiver: object, dotted: tuple[str, ...]) -> bool:
    """Whether `receiver` is an instance or subclass of one of the classes `dotted` that are loaded."""
    receiver = _behind(receiver)
    classes = loaded_classes(dotted)
    return isinstance(receiver, classes) or (isinstance(receiver, type) and issubclass(real_class(receiver), classes))


def receiver_of(receiver: object, value: object, arguments: tuple[object, ...], unbound_arity: int) -> object:
    """The object that a (bound or unbound) special method will act on."""
    if len(arguments) == unbound_arity:
        return arguments[0]
    return getattr(value, "__self__", receiver)


def _writer(receiver: object, value: Callable[..., object], unbound_arity: int) -> Callable[..., object]:
    def store(*arguments: object) -> object:
        target = receiver_of(receiver, value, arguments, unbound_arity)
        position = 1 if len(arguments) == unbound_arity else 0
        key = check_name(arguments[position], store=True)
        write_namespace(target) if key == "__dict__" else write(target)
        return value(*arguments)

    return store


def _constructor(value: Callable[..., object]) -> Callable[..., object]:
    if is_withheld(value):
        refuse("__new__ of a class that is known by its stand-in, such as numpy.ndarray")

    def construct(cls: type, *arguments: object, **keywords: object) -> object:
        if not isinstance(cls, type) or issubclass(cls, type) or shown_class(cls) is not cls:
            refuse("__new__ of a metaclass or of numpy.ndarray")
        if reads_when_made(cls):
            refuse(f"__new__ of {cls.__qualname__} without its __init__, which asks whether it may read")
        return value(cls, *arguments, **keywords)

    return construct


def _annotated(receiver: object) -> types.MappingProxyType[str, object]:
    """What of `receiver` is annotated; types that are neither plain nor remote lead to what was not granted."""
    if isinstance(receiver, ModuleType):
        refuse("the annotations of a module may not be reached")
    annotations = receiver.__annotations__
    if type(annotations) is not dict:
        raise AttributeError("__annotations__")
    shown = {name: kind if _is_plain_type(kind) else typing.Any for name, kind in annotations.items()}
    return types.MappingProxyType(shown)


def _binder(receiver: object) -> object:
    """`receiver.__get__` of a function of remote code, which makes a method of it as `types.MethodType` would."""
    if type(receiver) is not FunctionType or not owns_callable(receiver):
        refuse(f"__get__ of a {type(receiver).__name__}, which is no function of this code")
    return receiver.__get__


def _is_plain_type(kind: object) -> bool:
    return any(kind is plain for plain in _PLAIN_TYPES) or (isinstance(kind, type) and owns_class(kind))


def _initializer(receiver: object, value: Callable[..., object]) -> Callable[..., object]:
    """A library's `__init__`, of instances of remote classes alone: many write what they are given by name."""
    target = _behind(receiver)
    if not isinstance(target, type):
        if not descends_from_own(type(target)):
            refuse(f"__init__ of a {type(target).__name__}, which this code does not own")
        return value
    cls = real_class(target)

    def initialize(*arguments: object, **keywords: object) -> object:
        if not arguments or not issubclass(type(arguments[0]), cls) or not descends_from_own(type(arguments[0])):
            refuse(f"__init__ of {cls.__qualname__} for something that is no instance of a class of this code")
        return value(*arguments, **keywords)

    return initialize


def _of_instance(receiver: object, value: Callable[..., object]) -> Callable[..., object]:
    """A method; read off a class, it takes instances of that class only, and writes to nothing else."""
    target = _behind(receiver)
    if not isinstance(target, type) or not callable(value) or getattr(value, "__self__", None) is not None:
        return value
    cls = real_class(target)

    def call(instance: object, *arguments: object, **keywords: object) -> object:
        if not issubclass(type(instance), cls):
            refuse(f"{getattr(value, '__qualname__', 'a method')} of something that is no {cls.__qualname__}")
        return value(instance, *arguments, **keywords)

    return call


def _of_own_class(value: object) -> object:
    """`super().__init_subclass__`, which acts on the remote class that it was asked for."""
    target = getattr(value, "__self__", None)
    if not isinstance(target, type) or not descends_from_own(target):
        refuse("__init_subclass__ of a class that this code does not own")
    return value


def _of_own_instance(receiver: object, value: object, name: str) -> object:
    target = getattr(value, "__self__", receiver)
    if not owns_class(type(target)):
        refuse(f"{name} of a {type(target).__name__}, which this code does not own")
    return value
