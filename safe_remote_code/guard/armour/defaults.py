"""Defaults that all instances read from their class, or keep from a signature: everybody gets a copy.

`ViTImageProcessor.size["height"] = 1` would change what every processor of the class does in this process. The names
(`size`, `image_mean`) are read in every forward pass, of tensors too: so it is the class that gives copies, and not
the guard that asks at each read.
"""

from __future__ import annotations

import functools
import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, final

from ..shown import TABLES, copied

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

_PACKAGE: Final = "transformers."
#: By a base class, which containers are copied: all of a processor's.
_COPIED: Final[dict[str, frozenset[str] | None]] = {
    "ImageProcessingMixin": None,
    "FeatureExtractionMixin": None,
    "PreTrainedConfig": frozenset(["layer_types"]),
    "PretrainedConfig": frozenset(["layer_types"]),  # transformers 4
    "PreTrainedModel": frozenset(["main_input_name"]),
    "Converter": frozenset(["special_tokens"]),
}

#: What a sub-configuration is made of.
_SPECIFICATION: Final = "SubConfigSpec"


@final
class _Default:
    """A descriptor for a container that instances have from their class, unless they have their own."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return copied(self._value)


@final
class _Copied:
    """A data descriptor for a container of each instance, which is handed out as a copy."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None or self._name not in vars(instance):
            raise AttributeError(self._name)
        return copied(vars(instance)[self._name])

    def __set__(self, instance: Any, value: Any) -> None:
        vars(instance)[self._name] = value


def watch_module(module: ModuleType) -> None:
    """Let the classes of this module hand out copies of their containers, if they are transformers'."""
    name = module.__name__
    if not name.startswith(_PACKAGE):
        return
    for cls in list(vars(module).values()):
        if isinstance(cls, type) and cls.__module__ == name:
            for base in [base.__name__ for base in cls.__mro__ if base.__name__ in _COPIED]:
                _watch(cls, _COPIED[base])
            _watch_signature(cls)
            if cls.__name__ == _SPECIFICATION:
                type.__setattr__(cls, "init_kwargs", _Copied("init_kwargs"))


def _watch(cls: type, names: frozenset[str] | None) -> None:
    for key, value in list(cls.__dict__.items()):
        if type(value) in TABLES and (not key.startswith("__") if names is None else key in names):
            type.__setattr__(cls, key, _Default(value))


def _watch_signature(cls: type) -> None:
    made = cls.__dict__.get("__init__")
    if isinstance(made, FunctionType):
        defaults = (*(made.__defaults__ or ()), *(made.__kwdefaults__ or {}).values())
        if any(type(value) in TABLES for value in defaults):
            type.__setattr__(cls, "__init__", _with_own_defaults(made))


def _with_own_defaults(made: Callable[..., None]) -> Callable[..., None]:
    """`__init__`, whose instance keeps a copy of the list or dictionary that stands in its signature."""
    parameters = list(inspect.signature(made).parameters.values())
    fresh = [(at, each.name, each.default) for at, each in enumerate(parameters) if type(each.default) in TABLES]

    @functools.wraps(made)
    def __init__(*arguments: Any, **keywords: Any) -> None:
        for at, name, default in fresh:
            if at >= len(arguments) and name not in keywords:
                keywords[name] = copied(default)
        made(*arguments, **keywords)

    return __init__
