"""A star import from a library.

What
    ``from library import *``. Star imports from files of the same repository are followed.

Why it matters
    It binds names that the text does not show, and may shadow builtins: after ``from os import *``,
    ``open`` is ``os.open``.

Example
    ``from torch import *``

Instead
    Import what is used, by name. Under the guard only granted names are bound.
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
    statement = context.parent(node)
    if (
        isinstance(node, ast.alias)
        and node.name == "*"
        and isinstance(statement, ast.ImportFrom)
        and not statement.level
    ):
        message = f"star import from {statement.module}"
        return [context.finding(node, RULE.id, message, "guard", name=str(statement.module))]
    return ()


RULE = Rule(id="star-import", nodes=(ast.alias,), check=_check, documentation=__doc__)
