"""A format string that walks to attributes, or that is not a literal.

What
    ``"{0.attribute}".format(…)`` and ``format_map``: a literal that reads an attribute which code may not
    read is refused; one that reads other attributes, or a format string that is computed, is left to the
    guard, which parses it when it is used. f-strings are ordinary code and are not meant here.

Why it matters
    The format language reads attributes and items by itself, so that data becomes an attribute walk:
    ``"{0.__globals__}"`` (CVE-2023-41039, CVE-2025-24359).

Example
    ``template.format(self)`` where the template came from a file

Instead
    f-strings, ``%``, or literal formats with plain fields: ``"{} of {}".format(a, b)``.
"""

from __future__ import annotations

import ast
import string
from _string import formatter_field_name_split
from typing import TYPE_CHECKING, Final

from ...grammar import CHECKED, refused_attribute
from ..context import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...finding import Finding
    from ..context import Context

_METHODS: Final = frozenset(["format", "format_map"])
_MAX_DEPTH: Final = 4


def _walked(text: str, depth: int = 0) -> Iterator[str]:
    """Attributes that formatting `text` would read; nested specifications are followed (PEP 3101)."""
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deep")
    for _, field_name, specification, _ in string.Formatter().parse(text):
        if field_name:
            for is_attribute, part in formatter_field_name_split(field_name)[1]:
                if is_attribute:
                    yield str(part)
        if specification:
            yield from _walked(specification, depth + 1)


def _check(node: ast.AST, context: Context) -> Sequence[Finding]:
    if not isinstance(node, ast.Attribute) or node.attr not in _METHODS or not isinstance(node.ctx, ast.Load):
        return ()
    receiver = node.value
    if not isinstance(receiver, ast.Constant):
        if _is_elsewhere(receiver, context):
            return ()
        return [context.finding(node, RULE.id, "the format string is computed", "guard", capability="introspection")]
    return _literal(receiver.value, node, context) if isinstance(receiver.value, str) else ()


def _is_elsewhere(receiver: ast.expr, context: Context) -> bool:
    """Whether `format` is a function of a library module, such as ``einops.format``."""
    meaning = context.meaning(receiver)
    return meaning.complete and bool(meaning.names) and "builtins.str" not in meaning.names


def _literal(text: str, node: ast.AST, context: Context) -> Sequence[Finding]:
    try:
        walked = list(_walked(text))
    except ValueError as error:
        return [context.finding(node, RULE.id, f"malformed format string: {error}", "guard")]
    for name in walked:
        if why := refused_attribute(name):
            return [context.finding(node, RULE.id, f"the format string reads attribute {name}, which {why}", name=name)]
    sensitive = [name for name in walked if name in CHECKED or name in context.table.attributes]
    if sensitive:
        message = f"the format string reads attribute {sensitive[0]}, which depends on its receiver"
        return [context.finding(node, RULE.id, message, "guard", name=sensitive[0])]
    if walked:
        return [
            context.finding(node, RULE.id, f"the format string reads attribute {walked[0]}", "guard", name=walked[0])
        ]
    return ()


RULE = Rule(id="format-string", nodes=(ast.Attribute,), check=_check, documentation=__doc__)
