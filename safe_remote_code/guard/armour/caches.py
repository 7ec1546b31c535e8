"""What library functions remember is one for all callers: remote code is given copies of it.

`functools.lru_cache` and transformers' own decorator over it give everybody the same list, dictionary or tensor;
changed in place, it would be another one for every model of the process.
"""

from __future__ import annotations

import functools
import sys
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from ..ownership import context_on_stack
from ..shown import copied, is_changeable

if TYPE_CHECKING:
    from collections.abc import Callable

_PLACES: Final = ("transformers.models.", "transformers.generation.")
_METHOD_CACHE: Final = "compile_compatible_method_lru_cache.<locals>.decorator.<locals>.wrapper"


def copying_for_remote_code(_holder: object, real: Any) -> Callable[..., Any]:
    """`real`, whose answers remote code gets as copies."""
    torch: Any = sys.modules.get("torch")

    @functools.wraps(real)
    def call(*arguments: Any, **keywords: Any) -> Any:
        found = real(*arguments, **keywords)
        if torch is not None and torch.compiler.is_compiling():  # first: the compiler can follow no further
            return found
        return copied(found) if is_changeable(found) and context_on_stack(sys._getframe(1)) is not None else found

    for name in ("cache_clear", "cache_info", "cache_parameters"):
        if hasattr(real, name):
            setattr(call, name, getattr(real, name))
    return call


def watch_module(module: ModuleType) -> None:
    """Let the functions of this module that remember their answers do so, if it is of a model."""
    name = module.__name__
    if not name.startswith(_PLACES):
        return
    _watch(module, vars(module))
    for cls in list(vars(module).values()):
        if isinstance(cls, type) and cls.__module__ == name:
            _watch(cls, cls.__dict__)


def _watch(holder: Any, namespace: Any) -> None:
    for name, value in list(namespace.items()):
        if isinstance(value, staticmethod) and _remembers(value.__func__):
            type.__setattr__(holder, name, staticmethod(copying_for_remote_code(holder, value.__func__)))
        elif _remembers(value):
            asked = copying_for_remote_code(holder, value)
            (type if isinstance(holder, type) else ModuleType).__setattr__(holder, name, asked)


def _remembers(value: object) -> bool:
    if isinstance(value, FunctionType):
        return value.__code__.co_qualname == _METHOD_CACHE
    return isinstance(value, functools._lru_cache_wrapper)
