"""Callables that trusted code will run for remote code later, with no frame of remote code on the stack.

An iterator (`map(function, ...)`) or a default factory may be left where library code runs it: whoever asks the stack
who is behind a call finds nobody. So a callable that remote code hands over to one of these is first wrapped in a call
that counts as remote code's. Functions of remote code have frames of their own.
"""

from __future__ import annotations

import collections
import functools
import itertools
from types import GenericAlias, MethodType
from typing import TYPE_CHECKING, Any, Final, final

from ..armour.native import opens_when_made
from ..ownership import Sealed, owns_callable
from ..refusal import refuse
from ..stand_ins import stand_in
from .calls import marked_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..context import PackageContext

#: They open nothing, whoever calls them. Compared by identity: torch.compile follows that.
_PLAIN: Final = (
    int, float, complex, bool, str, bytes, list, tuple, dict, set, frozenset, len, abs, sum, min, max, repr, ord, chr,
    type(None), None,
)  # fmt: skip
#: May be derived from: they run without arguments what they hold.
_BASES: Final = (collections.defaultdict, functools.cached_property)
#: Where the callable stands among the arguments, and its name.
_ITERATORS: Final = {
    "itertools.starmap": (itertools.starmap, 0, "function"),
    "itertools.takewhile": (itertools.takewhile, 0, "predicate"),
    "itertools.dropwhile": (itertools.dropwhile, 0, "predicate"),
    "itertools.filterfalse": (itertools.filterfalse, 0, "function"),
    "itertools.accumulate": (itertools.accumulate, 1, "func"), "itertools.groupby": (itertools.groupby, 1, "key"),
}  # fmt: skip


def _iterated(function: Any, context: PackageContext) -> Any:
    return function if any(function is plain for plain in _PLAIN) else marked_call(function, context)


def _kept(function: Any, context: PackageContext) -> Any:
    return function if owns_callable(function) else _iterated(function, context)


def _partial(function: Any, context: PackageContext) -> Any:
    """Others than those that open a path when they are made stay themselves: `partial(LayerNorm, eps=1e-6)`."""
    return marked_call(function, context) if isinstance(function, type) and opens_when_made(function) else function


def _method(function: Any, context: PackageContext) -> Any:
    """A method of a class would be a partial of it."""
    return marked_call(function, context) if isinstance(function, type) else function


def _deferring(
    real: Any, wrapped: Callable[[Any, PackageContext], Any], context: PackageContext, position: int = 0, name: str = ""
) -> object:
    """What stands for the class `real`, and wraps the callable that it is made of; `type(x)` is a stand-in, too."""
    shown = stand_in(real, "is made under its own name here")

    @final
    class Deferring(Sealed):
        def __call__(self, *arguments: Any, **keywords: Any) -> Any:
            if len(arguments) > position:
                arguments = (*arguments[:position], wrapped(arguments[position], context), *arguments[position + 1 :])
            elif name in keywords:
                keywords[name] = wrapped(keywords[name], context)
            return real(*arguments, **keywords)

        def __instancecheck__(self, instance: object) -> bool:
            return isinstance(instance, real)

        def __subclasscheck__(self, subclass: type) -> bool:
            return issubclass(subclass, real)

        def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[object, ...]:
            if real not in _BASES:
                refuse(f"a subclass of {real.__name__} would run later what nobody marked")
            return (real,)

        def __getitem__(self, parameters: object) -> object:
            return GenericAlias(shown, parameters)

        def __or__(self, other: Any) -> object:
            return shown | other

        def __ror__(self, other: Any) -> object:
            return other | shown

    Deferring.__name__ = Deferring.__qualname__ = real.__name__
    return Deferring()


def builtins(context: PackageContext) -> dict[str, object]:
    """`map`, `filter` and `iter`."""

    def guarded_iter(*arguments: Any) -> Any:
        if len(arguments) == 2:
            return iter(_iterated(arguments[0], context), arguments[1])
        return iter(*arguments)

    return {
        "map": _deferring(map, _iterated, context),
        "filter": _deferring(filter, _iterated, context),
        "iter": guarded_iter,
    }


def replacements(context: PackageContext) -> dict[str, object]:
    """Makers of iterators and factories by dotted name."""
    made = {
        name: _deferring(real, _iterated, context, position, keyword)
        for name, (real, position, keyword) in _ITERATORS.items()
    }
    return {
        **made,
        "collections.defaultdict": _deferring(collections.defaultdict, _kept, context),
        "functools.cached_property": _deferring(functools.cached_property, _kept, context, name="func"),
        "functools.partial": _deferring(functools.partial, _partial, context),
        "types.MethodType": _deferring(MethodType, _method, context),
    }
