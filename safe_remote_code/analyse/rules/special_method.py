"""A special method that remote classes may not define.

What
    A ``def __x__`` outside `grammar.DEFINABLE`: ``__del__``, ``__reduce__`` and its kin, ``__set_name__``,
    ``__prepare__``, ``__fspath__``, ``__torch_function__``, descriptors, buffers.

Why it matters
    Trusted code calls these later, outside the time in which anyone watches, and with objects of its own
    (smolagents #2395): a finalizer runs at any moment, ``__reduce__`` chooses what runs where a checkpoint
    is opened, ``__fspath__`` can name another file each time it is asked.

Example
    ``def __del__(self): ...``

Instead
    Ordinary methods, called by name; ``__getstate__`` and ``__setstate__`` for copying.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from ...grammar import DEFINABLE, is_dunder
from ..context import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...finding import Finding
    from ..context import Context


def _check(node: ast.AST, context: Context) -> Sequence[Finding]:
    name = getattr(node, "name", "")
    if is_dunder(name) and name not in DEFINABLE:
        return [context.finding(node, RULE.id, f"special method {name} may not be defined", name=name)]
    return ()


RULE = Rule(id="special-method", nodes=(ast.FunctionDef, ast.AsyncFunctionDef), check=_check, documentation=__doc__)
