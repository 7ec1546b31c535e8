"""Annotations without text that `typing` would evaluate.

`typing.get_type_hints` evaluates annotation text with plain `eval`, outside any guarded frame, and
follows it: a name that is bound to text is evaluated again. So no text is left: text becomes a
`GuardedReference`, a forward reference which evaluates itself, by walking names, attributes and
subscripts under the rules of the guard and nothing else. There is no call in that grammar.
"""

from __future__ import annotations

import collections.abc
import functools
import operator
import re
import sys
import types
import typing
from typing import TYPE_CHECKING, Any, Final, final

from ..errors import GuardViolationError
from .type_expressions import TypeExpressions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Reader = Callable[[object, str], object]

#: How dataclasses recognise, in text, what is not a field; at its start, a prefix allowed.
_CLASS_LEVEL: Final = re.compile(r"(\s*\w+\s*\.)*\s*(ClassVar|InitVar|Final|KW_ONLY)\b")
_MAX_TEXT: Final = 1000
#: Of these, `|` makes a `types.UnionType`; of all else in annotations, a `typing.Union`.
_PLAIN: Final = (type, types.GenericAlias, types.UnionType, type(None))
_ALIAS_BASES: Final = (types.GenericAlias, types.UnionType, typing._GenericAlias)  # type: ignore[attr-defined]  # typing's own
#: What `list[int]`, `X | Y`, `Optional[X]`, `Callable[[X], Y]`... are instances of.
_ALIASES: Final = frozenset(
    [type(collections.abc.Callable[[int], int])]
    + [kind for module in (typing, types) for kind in vars(module).values()
       if isinstance(kind, type) and issubclass(kind, _ALIAS_BASES)]
)  # fmt: skip


@final
class GuardedReference(typing.ForwardRef, _root=True):  # type: ignore[call-arg,misc]  # typing's own way to subclass
    """A forward reference to `text`, evaluated in the namespace of the module that wrote it."""

    __slots__ = ()

    def __init__(self, text: str, namespace: Mapping[str, object], read: Reader, *, whole: bool = False) -> None:
        super().__init__("object")  # what typing would compile; never used
        self.__forward_arg__ = text
        _STATES[id(self)] = (self, namespace, read, whole)

    def _evaluate(self, *_arguments: object, **_keywords: object) -> object:
        _, namespace, read, _ = _STATES[id(self)]
        return evaluate(self.__forward_arg__, namespace, read)

    def __eq__(self, other: object) -> bool:
        if type(other) is str and _STATES[id(self)][3]:
            return other == self.__forward_arg__
        # typing keeps `Optional[...]` and the like by equality: the same text elsewhere is another reference.
        same = isinstance(other, GuardedReference) and other.__forward_arg__ == self.__forward_arg__
        return same and _STATES[id(other)][1] is _STATES[id(self)][1]

    def __hash__(self) -> int:
        return hash(self.__forward_arg__)

    def __repr__(self) -> str:
        # A whole annotation that was text shows as text: `inspect.signature` prints what it prints natively.
        return repr(self.__forward_arg__) if _STATES[id(self)][3] else f"ForwardRef({self.__forward_arg__!r})"

    def __str__(self) -> str:
        return self.__forward_arg__ if _STATES[id(self)][3] else repr(self)


#: By `id`, and alive: remote code can hold a reference, and must find no namespace on it.
_STATES: Final[dict[int, tuple[GuardedReference, Mapping[str, object], Reader, bool]]] = {}


def evaluate(text: str, namespace: Mapping[str, object], read: Reader) -> object:
    """The type that annotation `text` names.

    Raises:
        NameError: a name is not bound in the module.
        GuardViolationError: the text is more than names, attributes and subscripts.
    """
    expressions = TypeExpressions(
        name=lambda name: _lookup(name, namespace),
        attribute=read,
        item=_subscript,
        either=lambda left, right: _either(inert(left, namespace, read), inert(right, namespace, read)),
    )
    try:
        return inert(expressions.value(text), namespace, read)
    except SyntaxError:
        raise NameError(f"not an annotation: {text[:80]!r}") from None


def _either(left: Any, right: Any) -> object:
    if isinstance(left, _PLAIN) and isinstance(right, _PLAIN) and (left, right) != (None, None):
        return operator.or_(left, right)
    return typing.Union[left, right]  # noqa: UP007  # values, not an annotation


def _subscript(base: Any, index: Any) -> object:
    if not (isinstance(base, type) or typing.get_origin(base) is not None or type(base).__module__ == "typing"):
        raise GuardViolationError("annotation text subscripts something that is not a type")
    return base[index]


def _lookup(name: str, namespace: Mapping[str, object]) -> object:
    if name.startswith("__"):
        raise NameError(f"name {name!r} is not defined")
    if name in namespace:
        return namespace[name]
    known = namespace["__builtins__"]
    if isinstance(known, dict) and isinstance(known.get(name), type):
        return known[name]
    raise NameError(f"name {name!r} is not defined")


def inert(value: object, namespace: Mapping[str, object], read: Reader) -> object:
    """`value`, with every text in it that typing would evaluate replaced by a `GuardedReference`."""

    def make(part: object) -> object:
        if isinstance(part, str):
            return _reference(str.__str__(part), namespace, read)
        return inert(part, namespace, read)

    if isinstance(value, str):
        return _reference(str.__str__(value), namespace, read, whole=True)
    if isinstance(value, typing.ForwardRef) and not isinstance(value, GuardedReference):
        return GuardedReference(str(value.__forward_arg__), namespace, read)
    if isinstance(value, list):
        return [make(part) for part in value]
    return _with_arguments(value, make)


def _with_arguments(value: Any, make: Callable[[object], object]) -> object:
    """`value` with each argument of an alias put through `make`."""
    if not _is_alias(value):
        # A subclass of an alias class can show us other arguments than it shows typing.
        return typing.Any if isinstance(value, _ALIAS_BASES) else value
    if typing.get_origin(value) is typing.Literal:
        return value
    arguments: tuple[object, ...] = value.__args__
    changed = tuple(make(part) for part in arguments)
    if all(new is old for new, old in zip(changed, arguments, strict=True)):
        return value
    return _rebuild(value, changed)


def _is_alias(value: object) -> bool:
    kind = type(value)
    return kind in _ALIASES or (
        issubclass(kind, _ALIAS_BASES) and getattr(sys.modules.get("typing_extensions"), kind.__name__, None) is kind
    )


def resolved(value: object) -> object:
    """`value`, made by `inert`, with every reference in it evaluated."""
    if isinstance(value, GuardedReference):
        return resolved(value._evaluate())
    if type(value) is list:
        return [resolved(part) for part in value]
    return _with_arguments(value, resolved)


def without_text(value: object) -> object:
    """`value` with every text in it that typing would evaluate replaced by `typing.Any`."""
    if isinstance(value, str | typing.ForwardRef):
        return typing.Any
    if type(value) is list:
        return [without_text(part) for part in value]
    return _with_arguments(value, without_text)


def _reference(text: str, namespace: Mapping[str, object], read: Reader, *, whole: bool = False) -> object:
    if len(text) > _MAX_TEXT:
        return typing.Any
    # dataclasses look for these in text; they must see the real thing to leave such fields out.
    if _CLASS_LEVEL.match(text):
        return evaluate(text, namespace, read)
    return GuardedReference(text, namespace, read, whole=whole)


def _rebuild(value: Any, arguments: tuple[object, ...]) -> object:
    if isinstance(value, types.UnionType):
        return functools.reduce(operator.or_, typing.cast("tuple[Any, ...]", arguments))
    if isinstance(value, types.GenericAlias):
        return types.GenericAlias(typing.cast(type, value.__origin__), arguments)
    return value.copy_with(arguments)
