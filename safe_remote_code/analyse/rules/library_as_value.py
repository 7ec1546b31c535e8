"""A module used as a value.

What
    A name that is a module (bound by ``import``, here or in another file of the repository) and is assigned,
    passed, stored or returned instead of being followed by a dot.

Why it matters
    What happens to the module afterwards cannot be read from the text: every name in it may be reached.

Example
    ``self.backend = torch``; ``run(os)``

Instead
    Pass the function that is meant: ``self.softmax = torch.softmax``. Under the guard such a value is a
    read-only view that shows granted names alone.
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
    if not isinstance(node, ast.Name | ast.Attribute) or not isinstance(node.ctx, ast.Load):
        return ()
    parent = context.parent(node)
    if isinstance(parent, ast.Attribute) or context.is_called(node):
        return ()
    meaning = context.meaning(node)
    modules = [name for name in meaning.names if name in context.walk.imported] + list(meaning.modules)
    if not modules or context.is_chained(node) or context.is_only_looked_at(node):
        return ()
    return [context.finding(node, RULE.id, f"module {modules[0]} is used as a value", "guard", name=modules[0])]


RULE = Rule(id="library-as-value", nodes=(ast.Name, ast.Attribute), check=_check, documentation=__doc__)
