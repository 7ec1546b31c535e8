"""A builtin that turns text into code or shows namespaces.

What
    ``eval``, ``exec``, ``compile``, ``__import__``, ``globals``, ``locals``, ``vars``, ``memoryview``, ``input``,
    ``breakpoint``, ``help``, ``exit``, ``quit``: called or handed on, also as ``builtins.eval``. ``vars(x)`` of one
    object is read as ``x.__dict__``, and left to the guard; so is ``locals()`` in a function, a copy there (PEP 667).

Why it matters
    They undo every check of the text: what runs is decided when it runs.

Example
    ``exec(requests.get(url).text)``

Instead
    ``ast.literal_eval`` or ``json.loads`` for data, a dictionary for dispatch by name. Guarded code does not
    have these builtins; a use inside a function fails when it is reached.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from ..builtin_names import REFUSED_BUILTINS
from ..context import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...finding import Finding
    from ..context import Context


def _check(node: ast.AST, context: Context) -> Sequence[Finding]:
    if not isinstance(node, ast.Name | ast.Attribute) or not isinstance(node.ctx, ast.Load):
        return ()
    meaning = context.meaning(node)
    for name in meaning.names:
        if name in REFUSED_BUILTINS:
            surely = meaning.complete and len(meaning.names) == 1 and not _of_an_object(node, name, context)
            short = name.removeprefix("builtins.")
            return [
                context.finding(node, RULE.id, f"{short} is not available to remote code",
                                context.enforcement(node) if surely else "guard",
                                capability=REFUSED_BUILTINS[name], name=name)
            ]  # fmt: skip
    return ()


def _of_an_object(node: ast.AST, name: str, context: Context) -> bool:
    call = context.parent(node)
    if name != "builtins.vars" or not isinstance(call, ast.Call) or call.func is not node or call.keywords:
        return False
    return len(call.args) == 1 and not isinstance(call.args[0], ast.Starred)


RULE = Rule(id="refused-builtin", nodes=(ast.Name, ast.Attribute), check=_check, documentation=__doc__)
