"""A special (``__x__``) name, bound or read as a variable.

What
    Any binding form (assignment, ``def``, ``class``, every kind of parameter, ``:=``, ``except as``,
    ``import as``, ``for``, ``with``, comprehension and ``match`` targets, ``global``, ``nonlocal``) or a read
    of a name with two underscores on both sides, outside the short lists in `grammar.py`.

Why it matters
    ``__builtins__``, ``__import__``, ``__loader__`` and ``__spec__`` lead to everything. Guards were bypassed
    by one binding form that their authors forgot (CVE-2026-55830: a positional-only parameter named like
    a guard hook).

    Likewise ``_compatible_flash_implementations``, which lists native kernels for transformers to load: plain names
    and kernels of ``kernels-community`` only.

Example
    ``def f(__builtins__, /): ...``

Instead
    Give the variable an ordinary name.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from ...grammar import KERNELS, is_dunder, refused_binding, refused_kernels, refused_variable
from ..context import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...finding import Finding
    from ..context import Context


def _bound(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.alias):
        yield (node.asname or node.name).partition(".")[0]
    elif isinstance(node, ast.Global | ast.Nonlocal):
        yield from node.names
    else:
        for field in ("name", "rest"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                yield name


def _check(node: ast.AST, context: Context) -> Sequence[Finding]:
    if isinstance(node, ast.Name):
        name = node.id
        if isinstance(node.ctx, ast.Load):
            if name[:2] != "__":  # the common case, decided at once
                return ()
            why = refused_variable(name)
            return [context.finding(node, RULE.id, f"{name} {why}", name=name)] if why else ()
    found = [
        context.finding(node, RULE.id, f"{name} {why}", name=name)
        for name in _bound(node)
        if (why := _refused(node, name))
    ]
    return found + list(_kernels(node, context)) if isinstance(node, ast.ClassDef) else found


def _kernels(node: ast.ClassDef, context: Context) -> Iterator[Finding]:
    """Kernels that a class lists must be a literal list that `grammar.refused_kernels` lets pass."""
    for statement in node.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        value = getattr(statement, "value", None)
        if any(isinstance(target, ast.Name) and target.id == KERNELS for target in targets) and value is not None:
            try:
                why = refused_kernels(ast.literal_eval(value))
            except ValueError:
                why = "is not a literal list"
            if why:
                yield context.finding(statement, RULE.id, f"{KERNELS} {why}", name=KERNELS)


def _refused(node: ast.AST, name: str) -> str | None:
    if isinstance(node, ast.ClassDef) and is_dunder(name):
        return "is a special name that may not be bound"
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and is_dunder(name):
        return None  # special-method decides
    return refused_binding(name)


_FIELDED = tuple(
    getattr(ast, name)
    for name in (
        "ClassDef",
        "FunctionDef",
        "AsyncFunctionDef",
        "ExceptHandler",
        "MatchAs",
        "MatchStar",
        "MatchMapping",
        "TypeVar",
        "ParamSpec",
        "TypeVarTuple",
    )
    if hasattr(ast, name)
)
RULE = Rule(
    id="special-name",
    nodes=(ast.Name, ast.arg, ast.alias, ast.Global, ast.Nonlocal, *_FIELDED),
    check=_check,
    documentation=__doc__,
)
