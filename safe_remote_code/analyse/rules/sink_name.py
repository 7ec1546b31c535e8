"""An attribute named like a dangerous function, on something that could not be resolved.

What
    A read of an attribute whose name is the last part of a sink in the capability table (``load``, ``system``,
    ``save``, …) on a receiver of which the text does not say what it is, other than ``self``, ``cls`` and
    ``super()``.

Why it matters
    A module that was handed around (through a container, a call, an instance) keeps its functions. "Cannot be
    resolved" is a finding of its own.

Example
    ``modules["t"].load(path)``

Instead
    Call the function by its dotted name. Under the guard a module that was handed around is a read-only view.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from ..context import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...finding import Finding
    from ..context import Context

_DISPLAYS = (
    ast.Constant,
    ast.JoinedStr,
    ast.List,
    ast.Dict,
    ast.Set,
    ast.Tuple,
    ast.ListComp,
    ast.DictComp,
    ast.SetComp,
)


def _check(node: ast.AST, context: Context) -> Sequence[Finding]:
    if not isinstance(node, ast.Attribute) or node.attr not in context.table.leaf_names:
        return ()
    if not isinstance(node.ctx, ast.Load) or node.attr in context.table.attributes or isinstance(node.value, _DISPLAYS):
        return ()
    meaning = context.meaning(node.value)
    if meaning.receiver or (meaning.complete and meaning.names) or _is_super(node.value):
        return ()
    message = f"{node.attr} on a receiver that could not be resolved"
    return [context.finding(node, RULE.id, message, "guard", name=node.attr)]


def _is_super(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"


RULE = Rule(id="sink-name", nodes=(ast.Attribute,), check=_check, documentation=__doc__)
