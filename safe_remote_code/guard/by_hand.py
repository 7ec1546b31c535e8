"""Special methods that code takes off an object by hand (`super().__init__`, `object.__setattr__`) act on its own."""

from __future__ import annotations

import types
import typing
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Final

from .armour.native import reads_when_made
from .mediated.calls import stored
from .ownership import definer, descends_from_own, owns_callable, owns_class
from .receivers import behind
from .refusal import check_name, refuse
from .stand_ins import is_withheld, real_class, shown_class
from .writes import write, write_namespace

if TYPE_CHECKING:
    from collections.abc import Callable

    from .context import PackageContext

_PLAIN_TYPES: Final = (int, float, complex, bool, str, bytes, list, tuple, dict, set, frozenset, type(None), None)

#: Modules of native classes whose own `__getstate__` gives the JSON text of their settings, in bytes.
_TELL_THEIR_STATE: Final = tuple(
    f"tokenizers.{part}" for part in ("normalizers", "pre_tokenizers", "decoders", "processors", "models")
)


def receiver_of(receiver: object, value: object, arguments: tuple[object, ...], unbound_arity: int) -> object:
    """The object that a (bound or unbound) special method will act on."""
    if len(arguments) == unbound_arity:
        return arguments[0]
    return getattr(value, "__self__", receiver)


def writer(
    receiver: object, value: Callable[..., object], unbound_arity: int, context: PackageContext
) -> Callable[..., object]:
    """`__setattr__` (of 3 arguments off its class) or `__delattr__` (of 2), of what remote code may write to."""

    def store(*arguments: object) -> object:
        target = receiver_of(receiver, value, arguments, unbound_arity)
        position = 1 if len(arguments) == unbound_arity else 0
        key = check_name(arguments[position], store=True)
        write_namespace(target) if key == "__dict__" else write(target)
        if unbound_arity == 3:
            arguments = (*arguments[:-1], stored(key, arguments[-1], context))
        return value(*arguments)

    return store


def constructor(value: Callable[..., object]) -> Callable[..., object]:
    if is_withheld(value):
        refuse("__new__ of a class that is known by its stand-in, such as numpy.ndarray")

    def construct(cls: type, *arguments: object, **keywords: object) -> object:
        if not isinstance(cls, type) or issubclass(cls, type) or shown_class(cls) is not cls:
            refuse("__new__ of a metaclass or of numpy.ndarray")
        if reads_when_made(cls):
            refuse(f"__new__ of {cls.__qualname__} without its __init__, which asks whether it may read")
        return value(cls, *arguments, **keywords)

    return construct


def annotated(receiver: object) -> types.MappingProxyType[str, object]:
    """What of `receiver` is annotated; types that are neither plain nor remote lead to what was not granted."""
    if isinstance(receiver, ModuleType):
        refuse("the annotations of a module may not be reached")
    annotations = receiver.__annotations__
    if type(annotations) is not dict:
        raise AttributeError("__annotations__")
    shown = {name: kind if _is_plain_type(kind) else typing.Any for name, kind in annotations.items()}
    return types.MappingProxyType(shown)


def binder(receiver: object) -> object:
    """`receiver.__get__` of a function of remote code, which makes a method of it as `types.MethodType` would."""
    if type(receiver) is not FunctionType or not owns_callable(receiver):
        refuse(f"__get__ of a {type(receiver).__name__}, which is no function of this code")
    return receiver.__get__


def _is_plain_type(kind: object) -> bool:
    return any(kind is plain for plain in _PLAIN_TYPES) or (isinstance(kind, type) and owns_class(kind))


def initializer(receiver: object, value: Callable[..., object]) -> Callable[..., object]:
    """A library's `__init__`, of instances of remote classes alone: many write what they are given by name."""
    target = behind(receiver)
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


def of_instance(receiver: object, value: Callable[..., object]) -> Callable[..., object]:
    """A method; read off a class, it takes instances of that class only, and writes to nothing else."""
    target = behind(receiver)
    if not isinstance(target, type) or not callable(value) or getattr(value, "__self__", None) is not None:
        return value
    cls = real_class(target)

    def call(instance: object, *arguments: object, **keywords: object) -> object:
        if not issubclass(type(instance), cls):
            refuse(f"{getattr(value, '__qualname__', 'a method')} of something that is no {cls.__qualname__}")
        return value(instance, *arguments, **keywords)

    return call


def of_own_class(value: object) -> object:
    """`super().__init_subclass__`, which acts on the remote class that it was asked for."""
    target = getattr(value, "__self__", None)
    if not isinstance(target, type) or not descends_from_own(target):
        refuse("__init_subclass__ of a class that this code does not own")
    return value


def of_own_instance(receiver: object, value: object, name: str) -> object:
    target = getattr(value, "__self__", receiver)
    if name == "__getstate__" and getattr(definer(type(target), name), "__module__", None) in _TELL_THEIR_STATE:
        return value
    if not owns_class(type(target)):
        refuse(f"{name} of a {type(target).__name__}, which this code does not own")
    return value
