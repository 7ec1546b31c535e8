"""Library functions that write attributes to what they are given: they take nothing that remote code does not own.

`filter_invalid_unicode_from_table(table)` sets `table.table_id`, whatever `table` is: a class of torch, or a function
of numpy. Which parameters a function writes to is read from its code, once, when remote code first asks for it.
"""

from __future__ import annotations

import dis
import functools
import itertools
import sys
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from .ownership import context_on_stack, owns, wraps_own
from .refusal import refuse

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

_MODELS: Final = "transformers.models."
_WRITES: Final = ("STORE_ATTR", "DELETE_ATTR")
_WRITERS: Final = ("setattr", "delattr")
_WRITING_CODES: Final = frozenset(map(dis.opmap.__getitem__, _WRITES))
#: What belongs to the whole process; whose instances may be written to is asked elsewhere.
_SHARED: Final = (type, FunctionType, BuiltinFunctionType, ModuleType)


def asking_for_targets(function: FunctionType, first: int = 0) -> Callable[..., Any]:
    """`function`, or what asks about the arguments, from the `first`, that it writes attributes to.

    Raises, when it is called:
        GuardViolationError: one of them is a class, function or module that remote code does not own.
    """
    targets = tuple(target for target in _written(function.__code__) if target[0] >= first)
    return asking(function, targets) if targets else function


def asking(function: Callable[..., Any], targets: tuple[tuple[int, str], ...]) -> Callable[..., Any]:
    """`function`, that asks about the arguments of these positions and names."""

    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        for at, name in targets:
            given = arguments[at] if at < len(arguments) else keywords.get(name)
            if isinstance(given, _SHARED) and not (owns(given) or wraps_own(given)):
                if context_on_stack(sys._getframe(1)) is not None:
                    refuse(f"{function.__qualname__} writes to {name}, here {given!r:.60}: not this code's own")
        return function(*arguments, **keywords)

    return call


def ask_methods(cls: type) -> None:
    """Let methods of `cls` that take no instance ask about the arguments that they write to.

    Static methods of it and of what it derives from; class methods of models and configurations of transformers.
    """
    for base in cls.__mro__:
        kinds = (staticmethod, classmethod) if base.__module__.startswith(_MODELS) else staticmethod
        for name, method in list(base.__dict__.items()):
            if isinstance(method, kinds) and isinstance(method.__func__, FunctionType):
                # What a class method does to its own class is its business.
                asked = asking_for_targets(method.__func__, first=type(method) is classmethod or name == "__new__")
                if asked is not method.__func__:
                    type.__setattr__(base, name, type(method)(asked))


@functools.cache
def _written(code: CodeType) -> tuple[tuple[int, str], ...]:
    """Position and name of the parameters of `code` that it writes attributes to, by an instruction or `setattr`."""
    if _WRITING_CODES.isdisjoint(code.co_code[::2]) and not set(_WRITERS) & set(code.co_names):
        return ()
    found: set[str] = set()
    loaded: list[str] = []  # by the instruction before this one
    setting = False
    for before, each in itertools.pairwise(dis.get_instructions(code)):
        if each.opname == "COPY":
            continue  # `x.n += 1` loads `x`, copies it, and reads `n`
        if each.opname in _WRITES or (each.opname == "LOAD_ATTR" and before.opname == "COPY"):
            found.update(loaded[-1:])
        names = each.argval if type(each.argval) is tuple else (each.argval,)
        loaded = [str(name) for name in names] if "LOAD_FAST" in each.opname or each.opname == "LOAD_DEREF" else []
        if setting and each.opname != "PUSH_NULL":
            found.update(loaded[:1])
            setting = False
        setting = setting or (each.opname == "LOAD_GLOBAL" and each.argval in _WRITERS)
    parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return tuple((at if at < code.co_argcount else sys.maxsize, name)
                 for at, name in enumerate(parameters) if name in found)  # fmt: skip
