"""A very long string or bytes constant.

What
    A string or bytes constant of more than 100 kB.

Why it matters
    A payload that no reviewer reads: packed code, weights, an archive.

Example
    ``DATA = "eJzs…"`` over a thousand lines

Instead
    Put data in a data file of the repository.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from ..context import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...finding import Finding
    from ..context import Context

_MAX_LENGTH: Final = 100_000


def _check(node: ast.AST, context: Context) -> Sequence[Finding]:
    value = getattr(node, "value", None)
    if isinstance(value, str | bytes) and len(value) > _MAX_LENGTH:
        return [context.finding(node, RULE.id, f"a constant of {len(value)} characters", "note")]
    return ()


RULE = Rule(id="large-constant", nodes=(ast.Constant,), check=_check, documentation=__doc__)
