"""`type` used to make a class, or to reach a metaclass.

What
    ``type(…)`` with other than one argument, ``type(type(x))``, ``x.__class__.__class__``, ``type(x).__class__``.

Why it matters
    ``type(name, bases, namespace)`` is a class statement that no check of class statements sees; a metaclass,
    called, is the same, and its attributes walk the class hierarchy.

Example
    ``type("X", (Base,), {"__del__": run})``

Instead
    A class statement.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from ..context import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...finding import Finding
    from ..context import Context


def _check(node: ast.AST, context: Context) -> Sequence[Finding]:
    if isinstance(node, ast.Attribute):
        if node.attr == "__class__" and isinstance(node.ctx, ast.Load) and _is_class(node.value, context):
            return [context.finding(node, RULE.id, "reaches a metaclass", capability="introspection")]
        return ()
    if (
        not isinstance(node, ast.Call)
        or not isinstance(node.func, ast.Name)
        or not context.is_builtin(node.func, "type")
    ):
        return ()
    if len(node.args) != 1 or node.keywords or isinstance(node.args[0], ast.Starred):
        if context.meaning(node.func).complete:
            return [
                context.finding(node, RULE.id, "type() with other than one argument", remedy="write a class statement",
                                capability="dynamic-code")
            ]  # fmt: skip
    elif _is_class(node.args[0], context):
        return [context.finding(node, RULE.id, "reaches a metaclass", capability="introspection")]
    return ()


def _is_class(node: ast.expr, context: Context) -> bool:
    """Whether `node` is a class for sure: ``type(x)`` or ``x.__class__``."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and context.is_builtin(node.func, "type")
    return isinstance(node, ast.Attribute) and node.attr == "__class__"


RULE = Rule(id="type-call", nodes=(ast.Call, ast.Attribute), check=_check, documentation=__doc__)
