"""Scopes and what binds a name in them, as Python's own rules say (LEGB).

Guarantee: a name is looked up where CPython would look it up, and every binding that could be the
live one is kept. What cannot be known from the text is kept as such, never dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, final

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator

    from .use import When

ScopeKind = Literal["module", "class", "function", "comprehension"]
#: `library`: a dotted name; `own`: a name of another file of the repository; `alias`: an expression that may
#: resolve; `none`: the constant None, as in ``except ImportError: x = None``; `other`: anything else.
BindingKind = Literal["library", "own", "alias", "none", "other", "deleted"]


class OwnTarget(NamedTuple):
    """What a relative import may mean: the attribute `name` of a file, or a file of its own."""

    files: tuple[str, ...]
    name: str
    submodules: tuple[str, ...]


class Binding(NamedTuple):
    """One binding of a name. `sure`: it is executed whenever its file is imported."""

    kind: BindingKind
    line: int
    sure: bool = False
    library: str = ""
    own: OwnTarget | None = None
    value: ast.expr | None = None
    place: Place | None = None


class Meaning(NamedTuple):
    """What an expression may be.

    `names`: library objects by dotted name; `modules`: own files; `complete`: it can be nothing else;
    `receiver`: it is the first parameter of a method.
    """

    names: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    complete: bool = False
    receiver: bool = False


UNKNOWN = Meaning()
NOTHING = Meaning(complete=True)


@final
class Scope:
    """One scope while a file is walked, and the answers of the resolver afterwards."""

    __slots__ = ("bindings", "kind", "memo", "module", "parent", "receiver", "redirected", "stars")

    def __init__(self, kind: ScopeKind, parent: Scope | None, receiver: str = "") -> None:
        self.kind = kind
        self.parent = parent
        self.module: Scope = parent.module if parent else self
        self.receiver = receiver
        self.bindings: dict[str, list[Binding]] = {}
        self.redirected: dict[str, Scope] = {}  # by `global` and `nonlocal`
        self.stars: list[OwnTarget | str] = []
        self.memo: dict[str, tuple[Meaning, int]] = {}

    def bind(self, name: str, binding: Binding) -> None:
        """Note that `name` is bound here, or where `global` and `nonlocal` say."""
        target = self.redirected.get(name, self)
        target.bindings.setdefault(name, []).append(binding)

    def redirect(self, name: str, *, to_module: bool) -> None:
        """`global name` or `nonlocal name`."""
        if self is self.module:
            return  # says nothing there, and must not lead a search round in circles
        if to_module:
            self.redirected[name] = self.module
            return
        functions = [scope for scope in self._enclosing() if scope.kind == "function"]
        # One that binds the name only further down is not known yet; the nearest is the likeliest.
        binding = [scope for scope in functions if name in scope.bindings] or functions
        self.redirected[name] = binding[0] if binding else self.module

    def _enclosing(self) -> Iterator[Scope]:
        scope = self.parent
        while scope is not None:
            yield scope
            scope = scope.parent


class Place(NamedTuple):
    """Where a node stands. `annotation`: inside an annotation expression."""

    scope: Scope
    when: When
    annotation: bool = False

    def conditional(self) -> Place:
        """The same place, under a condition."""
        return self._replace(when="conditional") if self.when == "import" else self

    def in_annotation(self, postponed: bool) -> Place:
        """Inside an annotation, which runs later if PEP 563 is on."""
        return self._replace(annotation=True, when="call" if postponed else self.when)
