"""Syntax outside the grammar that is admitted.

What
    A syntax node that `grammar.NODES` refuses (coroutines, ``except*``, class and mapping patterns, type
    parameters) or does not know, and class statements that choose a metaclass other than ``abc.ABCMeta`` or take
    ``**keywords``.

Why it matters
    New syntax reads attributes and runs code in ways that older checks do not see: ``match`` class patterns
    read attributes without an attribute node, ``except*`` confuses the interpreter about types
    (CVE-2025-22153), coroutines hold frames (CVE-2023-37271), a metaclass runs code of its own for every
    class below it.

Example
    ``match x: case Model(__dict__=d): ...``

Instead
    Use plain statements; derive from a class that has the metaclass already (``abc.ABC``).
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from ...grammar import NODES
from ..context import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...finding import Finding
    from ..context import Context

_ALLOWED: Final = frozenset(name for name, why in NODES.items() if why is None)


def _operators(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.UnaryOp | ast.BoolOp):
        yield node.op
    elif isinstance(node, ast.Compare):
        yield from node.ops


def _refused(node: ast.AST, context: Context) -> Finding:
    name = type(node).__name__
    return context.finding(node, RULE.id, f"{name}: {NODES.get(name) or 'is not known to this version'}")


def _is_abstract(value: ast.expr, context: Context) -> bool:
    meant = context.meaning(value)
    return meant.complete and set(meant.names) == {"abc.ABCMeta"}


def check(node: ast.AST, context: Context) -> Sequence[Finding]:
    """Refuse what the table does not allow."""
    if node.__class__.__name__ not in _ALLOWED:
        return [_refused(node, context)]
    if isinstance(node, ast.comprehension) and node.is_async:
        return [context.finding(node.target, RULE.id, "asynchronous comprehension: coroutines hold frames")]
    if isinstance(node, ast.ClassDef):
        return [
            context.finding(keyword, RULE.id, "a class may not choose its metaclass", remedy="derive from abc.ABC")
            for keyword in node.keywords
            if keyword.arg is None or (keyword.arg == "metaclass" and not _is_abstract(keyword.value, context))
        ]
    return [_refused(item, context) for item in _operators(node) if item.__class__.__name__ not in _ALLOWED]


RULE = Rule(id="unknown-syntax", nodes=(ast.AST,), check=check, documentation=__doc__)
