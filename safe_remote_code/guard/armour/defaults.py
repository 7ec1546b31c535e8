"""Defaults that all instances read from their class: everybody gets a copy.

`ViTImageProcessor.size["height"] = 1` would change what every processor of the class does in this process. The names
(`size`, `image_mean`) are read in every forward pass, of tensors too: so it is the class that gives copies, and not
the guard that asks at each read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from ..shown import TABLES, copied

if TYPE_CHECKING:
    from types import ModuleType

_PACKAGE: Final = "transformers."
#: By a base class, which containers are copied: all of a processor's.
_COPIED: Final[dict[str, frozenset[str] | None]] = {
    "ImageProcessingMixin": None,
    "FeatureExtractionMixin": None,
    "PreTrainedConfig": frozenset(["layer_types"]),
    "PreTrainedModel": frozenset(["main_input_name"]),
    "Converter": frozenset(["special_tokens"]),
}


@final
class _Default:
    """A descriptor for a container that instances have from their class, unless they have their own."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return copied(self._value)


def watch_module(module: ModuleType) -> None:
    """Let the classes of this module hand out copies of their containers, if they are transformers'."""
    name = module.__name__
    if not name.startswith(_PACKAGE):
        return
    for cls in list(vars(module).values()):
        if isinstance(cls, type) and cls.__module__ == name:
            for base in [base.__name__ for base in cls.__mro__ if base.__name__ in _COPIED]:
                _watch(cls, _COPIED[base])


def _watch(cls: type, names: frozenset[str] | None) -> None:
    for key, value in list(cls.__dict__.items()):
        if type(value) in TABLES and (not key.startswith("__") if names is None else key in names):
            type.__setattr__(cls, key, _Default(value))
