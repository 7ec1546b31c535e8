"""Whom an attribute is asked of: what a `super()` or an alias stands for; the classes of the capability table."""

from __future__ import annotations

import sys
import types
import typing
import weakref
from functools import lru_cache
from types import MethodType
from typing import Final

from .ownership import Sealed, definer, owns_class
from .stand_ins import real_class

#: `Counter[int]`: reads, and for those of `typing` writes as well, go on to the class that it stands for.
ALIASES: Final = (types.GenericAlias, typing._BaseGenericAlias)  # type: ignore[attr-defined]  # typing's own
#: They answer for another object: what is asked of them is asked of that.
FORWARDERS: Final = (*ALIASES, MethodType, weakref.ProxyType, weakref.CallableProxyType)
#: Their `__getattr__` or `__getattribute__` answers with what the instance itself holds.
_HOLDERS: Final = frozenset(
    ["torch.nn.modules.module.Module", "transformers.feature_extraction_utils.BatchFeature",
     "transformers.tokenization_utils_base.BatchEncoding", "transformers.configuration_utils.PretrainedConfig",
     "transformers.configuration_utils.PreTrainedConfig"]
)  # fmt: skip


def loaded_classes(dotted: tuple[str, ...]) -> tuple[type, ...]:
    """The classes behind the names `dotted`; a library that is not loaded has no instances."""
    return _loaded_classes(dotted, len(sys.modules))


@lru_cache(maxsize=512)
def _loaded_classes(dotted: tuple[str, ...], _modules: int) -> tuple[type, ...]:
    found = []
    for name in dotted:
        module, _, attribute = name.rpartition(".")
        value = getattr(sys.modules.get(module), attribute, None)
        if isinstance(value, type):
            found.append(value)
    return tuple(found)


def is_of_class(receiver: object, name: str, value: object) -> bool:
    """Whether `receiver` has `value` from a class, and does not hold it itself."""
    cls = receiver if isinstance(receiver, type) else type(receiver)
    home = definer(real_class(cls), name)
    if home is None:
        return isinstance(receiver, (type, super, *ALIASES))
    held = getattr(receiver, "__dict__", {}) if not isinstance(receiver, type) else {}
    return type.__getattribute__(home, "__dict__")[name] is value or held.get(name) is not value


def behind(receiver: object) -> object:
    """The object that a `super()`, an alias or a bound method speaks for, or `receiver` itself."""
    if issubclass(type(receiver), super):
        return super.__dict__["__self__"].__get__(receiver)
    while issubclass(type(receiver), (*ALIASES, MethodType)):
        if type(receiver) is MethodType:
            receiver = receiver.__func__
        elif isinstance(receiver, types.GenericAlias):
            receiver = types.GenericAlias.__dict__["__origin__"].__get__(receiver)
        else:
            receiver = object.__getattribute__(receiver, "__dict__").get("__origin__")
    return receiver


def is_forwarded(receiver: object, name: str) -> bool:
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


def is_one_of(receiver: object, dotted: tuple[str, ...]) -> bool:
    """Whether `receiver` is an instance or subclass of one of the classes `dotted` that are loaded."""
    receiver = behind(receiver)
    classes = loaded_classes(dotted)
    return isinstance(receiver, classes) or (isinstance(receiver, type) and issubclass(real_class(receiver), classes))
