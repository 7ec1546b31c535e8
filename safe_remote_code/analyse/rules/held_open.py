"""A ``with`` block that yields: what it opened may stay open for the whole process.

What
    A ``with`` statement with a ``yield`` inside its block, in the same function.

Why it matters
    A generator that nobody resumes never leaves its block. ``with torch.device("meta"): yield`` would leave the default
    device of the process changed; others hand every operation of torch to a function of the caller.

Example
    ``with torch.device("meta"): yield``

Instead
    Yield outside of the block. Contexts of your own, files and locks are fine: under the guard it is looked at what
    the block opens.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from ...syntax import yields
from ..context import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...finding import Finding
    from ..context import Context


def _check(node: ast.AST, context: Context) -> Sequence[Finding]:
    if not isinstance(node, ast.With) or not any(map(yields, node.body)):
        return ()
    message = "a block that yields may never be left"
    return [context.finding(node, RULE.id, message, "guard", capability="global-state")]


RULE = Rule(id="held-open", nodes=(ast.With,), check=_check, documentation=__doc__)
