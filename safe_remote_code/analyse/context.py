"""What a rule gets to see, and what a rule is.

A rule is a pure function of a node and a `Context`; it may add findings, never remove one. Its
documentation is the docstring of its module, with the sections that `SECTIONS` lists.
"""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, final

from ..finding import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..capability import CapabilityTable
    from ..finding import Enforcement
    from .names import Resolver
    from .scopes import Meaning, Place
    from .walk import FileWalk

    Check = Callable[[ast.AST, "Context"], Sequence[Finding]]

SECTIONS: Final = ("What", "Why it matters", "Example", "Instead")
_FUNCTION_PARENTS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule: its id, the node classes that it looks at, its check, and its documentation.

    A rule without node classes is fired by another stage (the parser, the policy).
    """

    id: str
    nodes: tuple[type[ast.AST], ...] = ()
    check: Check | None = None
    documentation: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if bool(self.nodes) != (self.check is not None):
            raise ValueError("a rule that looks at nodes has a check")
        missing = set(SECTIONS) - set(self.sections)
        if missing:
            raise ValueError(f"rule {self.id}: its documentation lacks {', '.join(sorted(missing))}")

    @property
    def summary(self) -> str:
        """The first line of the documentation."""
        return inspect.cleandoc(self.documentation or "").partition("\n")[0]

    @property
    def sections(self) -> dict[str, str]:
        """The documentation by section."""
        sections: dict[str, list[str]] = {}
        current: list[str] = []
        for line in inspect.cleandoc(self.documentation or "").splitlines():
            if line in SECTIONS:
                current = sections.setdefault(line, [])
            else:
                current.append(line)
        return {name: inspect.cleandoc("\n".join(lines)).strip() for name, lines in sections.items()}


@final
class Context:
    """One file under analysis. `sure`: it is imported whenever the repository's code is."""

    __slots__ = ("_resolver", "sure", "table", "walk")

    def __init__(self, walk: FileWalk, resolver: Resolver, table: CapabilityTable, sure: bool = True) -> None:
        self.walk = walk
        self.sure = sure
        self._resolver = resolver
        self.table = table

    def place(self, node: ast.AST) -> Place:
        """Where `node` stands."""
        return self.walk.places[node]

    def parent(self, node: ast.AST) -> ast.AST:
        """The node above `node`."""
        return self.walk.parents[node]

    def meaning(self, node: ast.expr) -> Meaning:
        """What the expression may be."""
        return self._resolver.meaning(node, self.walk.places[node])

    def is_builtin(self, node: ast.expr, *names: str) -> bool:
        """Whether `node` may be one of these builtins."""
        meant = self.meaning(node).names
        return bool(meant) and any(f"builtins.{name}" in meant for name in names)

    def bound_values(self, node: ast.expr) -> list[ast.expr]:
        """What was assigned to the name `node`, or `node` itself."""
        return self._resolver.bound_values(node, self.walk.places[node])

    def literal_getattr(self, node: ast.expr) -> tuple[ast.expr, str] | None:
        """Receiver and name of a ``getattr`` with a literal."""
        return self._resolver.literal_getattr(node, self.walk.places[node])

    def is_chained(self, node: ast.expr) -> bool:
        """Whether `node` is only the receiver of a longer dotted name."""
        parent = self.walk.parents[node]
        if parent.__class__ is ast.Attribute:
            return True
        if isinstance(parent, ast.Call) and parent.args and parent.args[0] is node:
            return self.literal_getattr(parent) is not None
        return False

    def is_called(self, node: ast.expr) -> bool:
        """Whether `node` is called here: as a function, a decorator or a base class."""
        parent = self.walk.parents[node]
        if isinstance(parent, ast.Call):
            return parent.func is node
        if isinstance(parent, ast.ClassDef):
            return True
        # Under a function statement stand its decorators and the annotation of its result.
        return isinstance(parent, _FUNCTION_PARENTS) and not self.walk.places[node].annotation

    def when_sure(self, node: ast.AST) -> bool:
        """Whether `node` runs whenever the repository's code is imported."""
        return self.sure and self.walk.places[node].when == "import"

    def enforcement(self, node: ast.AST) -> Enforcement:
        """`refuse` for what surely runs at import, `guard` for what may never run."""
        return "refuse" if self.when_sure(node) else "guard"

    def is_only_looked_at(self, node: ast.expr) -> bool:
        """Whether nothing can happen to the value of `node`: ``if torch:``, ``torch is None``."""
        parent = self.walk.parents[node]
        if isinstance(parent, ast.Compare):
            return all(isinstance(operator, ast.Is | ast.IsNot) for operator in parent.ops)
        if isinstance(parent, ast.UnaryOp):
            return isinstance(parent.op, ast.Not)
        return isinstance(parent, ast.Expr) or getattr(parent, "test", None) is node

    def column(self, node: ast.AST) -> int:
        """The column of `node` in characters, from 1; Python counts bytes of UTF-8, from 0."""
        offset = max(getattr(node, "col_offset", 0), 0)
        if self.walk.ascii:
            return offset + 1
        number = getattr(node, "lineno", 1)
        if not 0 < number <= len(self.walk.lines):  # Python 3.11 misplaces what stands in f-strings
            return offset + 1
        line = self.walk.lines[number - 1]
        return len(line.encode()[:offset].decode(errors="replace")) + 1

    def finding(
        self, node: ast.AST, rule: str, message: str, enforcement: Enforcement = "refuse", *,
        remedy: str = "", capability: str = "", name: str = "",
    ) -> Finding:  # fmt: skip
        """A finding at `node`."""
        return Finding(
            path=self.walk.path, line=max(getattr(node, "lineno", 1), 1), column=self.column(node), rule=rule,
            message=message, remedy=remedy, capability=capability, name=name, enforcement=enforcement,
        )  # fmt: skip

    def finding_at(self, line: int, column: int, rule: str, message: str, name: str = "") -> Finding:
        """A refusal at a place of the text; `column` in characters, from 1."""
        return Finding(path=self.walk.path, line=line, column=column, rule=rule, message=message, name=name)
