"""A registration in a registry that the whole process shares.

What
    A call of a library function named ``register`` or ``register_…``: ``AutoConfig.register``,
    ``ALL_ATTENTION_FUNCTIONS.register``, ``register_pytree_node``, ``numbers.Number.register``.

Why it matters
    It decides which code other models get: an entry that replaces a native one is a patch under another name.

Example
    ``AutoConfig.register("bert", MyConfig, exist_ok=True)``

Instead
    Register under a name of your own. Under the guard, native entries stay.
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
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
        return ()
    for name in context.meaning(node.func).names:
        last = name.rpartition(".")[2].lstrip("_")
        if last == "register" or last.startswith("register_"):
            return [
                context.finding(
                    node, RULE.id, f"{name} changes a shared registry", "guard", capability="monkey-patch", name=name
                )
            ]
    return ()


RULE = Rule(id="registry-change", nodes=(ast.Call,), check=_check, documentation=__doc__)
