"""An attribute that is dangerous on objects of granted libraries.

What
    A read of an attribute that the capability table lists (``[[attribute]]``: ``tofile``, ``dump``,
    ``from_pretrained``, ``share_memory_``, …), also through ``getattr`` with a literal, unless the receiver is
    ``self`` and a class of the same file defines it.

Why it matters
    A granted library becomes a deputy: ``numpy.zeros(3).tofile("~/.bashrc")`` names no dangerous function.

Example
    ``numpy.asarray([1]).tofile(path)``

Instead
    Keep data in tensors; save through ``save_pretrained`` of the model. Under the guard the receiver, and
    the path, are checked when the attribute is used.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from ..context import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...finding import Finding
    from ..context import Context
    from ..scopes import Meaning


#: Whose objects one gets without importing the package.
_HANDED_OUT_BY: Final = {"tokenizers": "transformers", "sentencepiece": "transformers"}


def _check(node: ast.AST, context: Context) -> Sequence[Finding]:
    if isinstance(node, ast.Attribute):
        if node.attr not in context.table.attributes or not isinstance(node.ctx, ast.Load):
            return ()
        return _judge(node, node.value, node.attr, context)
    if isinstance(node, ast.Call) and len(node.args) > 1 and _literal(node) in context.table.attributes:
        found = context.literal_getattr(node)
        return _judge(node, found[0], found[1], context) if found else ()
    return ()


def _literal(node: ast.Call) -> str:
    key = node.args[1]
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else ""


def _judge(node: ast.expr, receiver: ast.expr, name: str, context: Context) -> Sequence[Finding]:
    meaning = context.meaning(receiver)
    if meaning.receiver and name in context.walk.defined:
        return ()
    entry = context.table.attributes[name]
    if entry.kind == "instance" and not meaning.names:
        return ()  # a call on an instance, as far as one can tell; a class that is handed on is unowned-write's
    if entry.receivers and not _may_be(entry.receivers, meaning, context):
        return ()
    if meaning.complete and meaning.names and not meaning.modules and _is_function_of_module(meaning.names, context):
        return ()  # the dotted name is judged as a use
    return [
        context.finding(
            node, RULE.id, f"attribute {name}: {entry.why}", "guard", capability=entry.capability, name=name
        )
    ]


def _may_be(receivers: tuple[str, ...], meaning: Meaning, context: Context) -> bool:
    """Whether an instance of one of these classes may be meant: such names (`replace`) are common on others."""
    if meaning.complete:
        return not set(receivers).isdisjoint(meaning.names)
    packages = {name.partition(".")[0] for name in receivers}
    packages |= {_HANDED_OUT_BY[package] for package in packages if package in _HANDED_OUT_BY}
    return not packages.isdisjoint(context.walk.imported)


def _is_function_of_module(names: tuple[str, ...], context: Context) -> bool:
    return all(name in context.walk.imported for name in names)


RULE = Rule(id="sensitive-attribute", nodes=(ast.Attribute, ast.Call), check=_check, documentation=__doc__)
