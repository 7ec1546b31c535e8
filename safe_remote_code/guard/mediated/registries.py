"""Library functions that change what they are given, or a registry of the whole process.

`AutoConfig.register` and the like keep working for what the remote code owns; they cannot replace
an entry that it does not own. Decorators that write to their argument take only its own.
"""

from __future__ import annotations

import abc
import importlib
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from ..ownership import owns_callable, owns_class

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..context import PackageContext

#: Decorators, or makers of decorators, that set attributes of what they decorate.
_DECORATORS: Final = (
    "dataclasses.dataclass", "typing.final", "typing.no_type_check", "typing.runtime_checkable",
    "typing_extensions.final", "typing_extensions.runtime_checkable", "typing_extensions.deprecated",
    "typing_extensions.override", "functools.total_ordering", "torch.jit.ignore", "torch.jit.unused",
    "torch.jit.export",
    "torch.utils._pytree.register_pytree_node", "torch.utils._pytree._register_pytree_node",
    "torch.utils._pytree.register_dataclass", "torch.utils._pytree.register_constant",
    "huggingface_hub.dataclasses.strict", "transformers.utils.auto_docstring.auto_docstring",
    "transformers.utils.doc.add_start_docstrings", "transformers.utils.doc.add_start_docstrings_to_model_forward",
    "transformers.utils.doc.add_end_docstrings", "transformers.utils.doc.add_code_sample_docstrings",
    "transformers.utils.doc.replace_return_docstrings", "transformers.utils.doc.copy_func",
)  # fmt: skip


def guarded_register(
    receiver: object, function: Callable[..., object], context: PackageContext
) -> Callable[..., object]:
    """`receiver.register`, unable to replace an entry that is not the remote code's."""

    def register(*arguments: Any, **keywords: Any) -> object:
        if isinstance(receiver, abc.ABCMeta) and not owns_class(receiver):
            raise context.violation(f"registering with {receiver.__qualname__}, which it does not own", "monkey-patch")
        if arguments and _is_foreign_entry(receiver, arguments[0]):
            if "transformers.models.auto." not in f"{getattr(receiver, '__module__', '')}.":
                raise context.violation(f"replacing the entry {arguments[0]!r:.80}", "monkey-patch", "register")
            # As a library's own entry deserves: without exist_ok, transformers says that it is taken.
            arguments, keywords = arguments[:2], {}
        return function(*arguments, **keywords)

    return register


def _is_foreign_entry(receiver: Any, key: object) -> bool:
    if isinstance(key, type):
        return not owns_class(key)
    if getattr(receiver, "__qualname__", "") == "AutoConfig":
        mapping = importlib.import_module("transformers.models.auto.configuration_auto").CONFIG_MAPPING
        return key in mapping._mapping
    try:
        current = receiver[key]
    except (KeyError, TypeError):
        return False
    return not (owns_callable(current) or (isinstance(current, type) and owns_class(current)))


def _own_only(name: str) -> Callable[..., object]:
    module, _, attribute = name.rpartition(".")
    real = getattr(importlib.import_module(module), attribute)

    def decorate(*arguments: Any, **keywords: Any) -> object:
        target = arguments[0] if arguments else keywords.get("cls")
        _writable(target)
        result = real(*arguments, **keywords)
        if isinstance(target, type | FunctionType) or not callable(result):
            return result
        return lambda decorated: result(_writable(decorated))

    return decorate


def _writable(target: Any) -> Any:
    from ..attributes import write

    return write(target) if isinstance(target, type | FunctionType) else target


def replacements() -> dict[str, Callable[[], object]]:
    """Makers of the decorators by dotted name."""
    return {name: (lambda name=name: _own_only(name)) for name in _DECORATORS}  # type: ignore[misc]  # bound now
