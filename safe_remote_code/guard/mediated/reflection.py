"""Functions that read what objects say of themselves, and objects can lie.

An object of a remote class answers `__class__`, `__code__`, `__annotations__`, `__wrapped__` or
`__dict__` as it likes. So nothing here believes an object that is not exactly of the type that it
claims, no annotation text is evaluated but by our own walker, and no real `type` is handed out.
"""

from __future__ import annotations

import copy
import functools
import inspect
import sys
import typing
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    WrapperDescriptorType,
)
from typing import TYPE_CHECKING, Any, Final, final

from ..annotations import inert, resolved, without_text
from ..kinds import ABSTRACT, GuardedType
from ..ownership import Sealed, is_remote_globals, owns_callable, owns_class
from ..stand_ins import shown_class
from ..writes import write

if TYPE_CHECKING:
    from collections.abc import Callable

    Reader = Callable[[object, str], object]

_TEXTS: Final = ("__module__", "__name__", "__qualname__", "__doc__")

#: Methods of built-in classes.
_SLOTS: Final = (WrapperDescriptorType, MethodDescriptorType, MethodWrapperType, ClassMethodDescriptorType)


def _is_function(value: object) -> bool:
    """Whether `value` is really a function, or a method of one."""
    return type(value) is FunctionType or (type(value) is MethodType and type(value.__func__) is FunctionType)


def _is_honest(value: object) -> bool:
    """Whether `value` is what it says it is: a function, a class, a built-in or a partial of one."""
    if type(value) is functools.partial:
        return _is_honest(value.func)
    return _is_function(value) or type(value) is BuiltinFunctionType or issubclass(type(value), type)


def update_wrapper(wrapper: Any, wrapped: Any) -> object:
    """`functools.update_wrapper` of exact texts, and of annotations and attributes of real functions only."""
    target: Any = write(wrapper)
    for name in _TEXTS if type(target) is FunctionType else _TEXTS[1:]:
        text = getattr(wrapped, name, None)
        if type(text) is str:
            setattr(target, name, text)
    if type(target) is FunctionType and _is_function(wrapped):
        target.__annotations__ = dict(wrapped.__annotations__)
        target.__dict__.update(wrapped.__dict__)
    if type(target) is FunctionType and _is_honest(wrapped):
        setattr(target, "__wrapped__", wrapped)  # noqa: B010  # a name that FunctionType does not declare
    return wrapper


def wraps(wrapped: Any) -> Callable[[object], object]:
    """`functools.wraps`."""
    return lambda wrapper: update_wrapper(wrapper, wrapped)


def _signature(obj: Any, *, follow_wrapped: bool = True) -> inspect.Signature:
    """`inspect.signature` of what is honest, without `eval_str`, `globals` and `locals`.

    It evaluates the `__text_signature__` of an object that is no function, and names of modules in it.
    """
    if not _is_honest(obj) and type(obj) not in _SLOTS:
        raise TypeError("the signature of a function or class only")
    found = inspect.signature(obj, follow_wrapped=follow_wrapped)
    shown = [
        item.replace(annotation=_shown(item.annotation), default=_shown(item.default))
        for item in found.parameters.values()
    ]
    found = found.replace(parameters=shown)
    return found.replace(return_annotation=_shown(found.return_annotation))


def _full_argument_spec(func: Any) -> inspect.FullArgSpec:
    """`inspect.getfullargspec`, of annotations and defaults as `inspect.signature` shows them."""
    if not _is_honest(func):
        raise TypeError("unsupported callable")
    found = inspect.getfullargspec(func)
    return found._replace(
        annotations={name: _shown(value) for name, value in found.annotations.items()},
        defaults=found.defaults and tuple(map(_shown, found.defaults)),
        kwonlydefaults=found.kwonlydefaults and {name: _shown(value) for name, value in found.kwonlydefaults.items()},
    )


def _of_source(function: Callable[[Any], object]) -> Callable[[Any], object]:
    def source(obj: Any) -> object:
        if not _is_honest(obj):
            raise TypeError("the source of a function or class only")
        return function(obj)

    return source


def _shown(value: Any) -> Any:
    """`value`, or the guarded `type` where it is the real one, the stand-in of a class, or a copy of a container."""
    if type(value) in (list, dict, set):
        return copy.deepcopy(value)
    if not isinstance(value, type):
        return value
    return GuardedType if issubclass(value, type) else shown_class(value)


def _get_origin(tp: Any) -> object:
    return _shown(typing.get_origin(tp))


def _get_args(tp: Any) -> tuple[object, ...]:
    return tuple(_shown(item) for item in typing.get_args(tp))


def _deepcopy(x: object, memo: dict[int, object] | None = None) -> object:
    if memo is not None and type(memo) is not dict:
        raise TypeError("memo is a dict")
    return copy.deepcopy(x, memo)


def _type_hints(read: Reader) -> Callable[..., dict[str, object]]:
    def get_type_hints(value: Any, *_: object, include_extras: bool = False, **__: object) -> dict[str, object]:
        is_class = issubclass(type(value), type)
        if not ((is_class and owns_class(value)) or (_is_function(value) and owns_callable(value))):
            raise TypeError("get_type_hints() of a function or class of this package only")
        hints: dict[str, object] = {}
        for holder in reversed(type.__getattribute__(value, "__mro__")) if is_class else (value,):
            if is_class and not owns_class(holder):
                hints.update(typing.get_type_hints(holder, include_extras=True) if holder is not object else {})
                continue
            namespace = _namespace(holder)
            for name, annotation in inspect.get_annotations(holder).items():
                hint = resolved(inert(annotation, namespace, read))
                hints[name] = type(None) if hint is None else hint
        strip = typing._strip_annotations  # type: ignore[attr-defined]  # typing's own
        return hints if include_extras else {name: strip(hint) for name, hint in hints.items()}

    return get_type_hints


def _namespace(holder: Any) -> dict[str, Any]:
    """Names that annotations of `holder` may use: those of a remote module, or none."""
    namespace = holder.__globals__ if _is_function(holder) else vars(sys.modules.get(holder.__module__, sys))
    return namespace if is_remote_globals(id(namespace)) else {"__builtins__": {}}


@final
class _Fields(Sealed):
    """`typing.NamedTuple` or `TypedDict`: as a base they are themselves; called, they take no text as a type."""

    def __init__(self, real: Any) -> None:
        self.__name__ = real.__name__
        _REAL[id(self)] = (self, real)

    def __call__(self, name: str, fields: Any = (), /, **keywords: Any) -> object:
        real = _REAL[id(self)][1]
        if isinstance(fields, dict):
            made = real(name, {key: without_text(kind) for key, kind in fields.items()}, **keywords)
        else:
            made = real(name, [(key, without_text(kind)) for key, kind in fields], **keywords)
        made.__module__ = str(sys._getframe(1).f_globals.get("__name__"))
        return made

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[object, ...]:
        real = _REAL[id(self)][1]
        return tuple(real.__mro_entries__(tuple(real if item is self else item for item in bases)))


#: By `id`, and alive: remote code holds the stand-in, and must find nothing on it that it could change.
_REAL: Final[dict[int, tuple[_Fields, Any]]] = {}


def replacements(import_module: Callable[[str, str | None], object], read: Reader) -> dict[str, object]:
    """Reflection functions by dotted name."""

    def by_name(name: str, package: str | None = None) -> object:
        return import_module(name, package)  # a function: a bound method would carry us with it

    def device_module(device: Any = None) -> object:
        import torch

        return import_module(torch.get_device_module(device).__name__, None)

    hints, named, typed = _type_hints(read), _Fields(typing.NamedTuple), _Fields(typing.TypedDict)
    return {
        "abc.ABCMeta": ABSTRACT,
        "importlib.import_module": by_name,
        "torch.get_device_module": device_module,
        "functools.wraps": wraps,
        "functools.update_wrapper": update_wrapper,
        "copy.deepcopy": _deepcopy,
        "inspect.signature": _signature,
        "inspect.getfullargspec": _full_argument_spec,
        "inspect.getsource": _of_source(inspect.getsource),
        "inspect.getsourcelines": _of_source(inspect.getsourcelines),
        "typing.get_type_hints": hints, "typing_extensions.get_type_hints": hints,
        "typing.get_origin": _get_origin, "typing_extensions.get_origin": _get_origin,
        "typing.get_args": _get_args, "typing_extensions.get_args": _get_args,
        "typing.NamedTuple": named, "typing_extensions.NamedTuple": named,
        "typing.TypedDict": typed, "typing_extensions.TypedDict": typed,
    }  # fmt: skip
