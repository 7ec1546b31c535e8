"""A special or introspective attribute, read or assigned.

What
    An attribute with two underscores on both sides outside `grammar.READABLE` (when stored:
    `grammar.WRITABLE`), or an attribute of frames, code objects, tracebacks and generators; the same
    names in ``from module import name``; and ``a.b += c`` where reading ``b`` needs a look at run time.

Why it matters
    They walk from any function to the real builtins: ``f.__globals__``, ``().__class__.__subclasses__()``,
    ``gi_frame.f_back`` (CVE-2023-37271), ``tb_frame``, ``__wrapped__``, ``__self__``.

Example
    ``torch.save.__globals__["os"].system(...)``

Instead
    Ordinary attributes; ``type(x).__name__`` and ``x.__class__.__name__`` are admitted.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from ...grammar import (
    CHECKED,
    IMPLEMENTATIONS,
    refused_attribute,
    refused_attribute_store,
    refused_form,
    refused_implementation,
)
from ..context import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...finding import Finding
    from ..context import Context


def _check(node: ast.AST, context: Context) -> Sequence[Finding]:
    if isinstance(node, ast.Attribute):
        return _attribute(node, context)
    if isinstance(node, ast.AugAssign):
        return _augmented(node, context)
    if isinstance(node, ast.alias) and isinstance(context.parent(node), ast.ImportFrom):
        why = refused_attribute(node.name)
        return [context.finding(node, RULE.id, f"imported name {node.name} {why}", name=node.name)] if why else ()
    return ()


def _attribute(node: ast.Attribute, context: Context) -> Sequence[Finding]:
    if node.ctx.__class__ is ast.Load:
        why = refused_attribute(node.attr)
    else:
        why = refused_attribute_store(node.attr) or _refused_form(node, context) or _refused_value(node, context)
    return [context.finding(node, RULE.id, f"attribute {node.attr} {why}", name=node.attr)] if why else ()


def _refused_form(target: ast.Attribute, context: Context) -> str | None:
    plain = isinstance(target.ctx, ast.Del) or isinstance(context.parent(target), ast.Assign)
    return None if plain else refused_form(target.attr)


def _refused_value(target: ast.Attribute, context: Context) -> str | None:
    """What the guard would refuse to store, where it can be read here."""
    value = getattr(context.parent(target), "value", None)
    if target.attr not in IMPLEMENTATIONS or not isinstance(value, ast.Constant):
        return None
    return refused_implementation(value.value)


def _augmented(node: ast.AugAssign, context: Context) -> Sequence[Finding]:
    target = node.target
    if isinstance(target, ast.Attribute) and (target.attr in CHECKED or target.attr in context.table.attributes):
        message = f"augmented assignment reads attribute {target.attr}, which depends on its receiver"
        return [context.finding(node, RULE.id, message, remedy="read and assign in two statements", name=target.attr)]
    return ()


RULE = Rule(
    id="special-attribute", nodes=(ast.Attribute, ast.AugAssign, ast.alias), check=_check, documentation=__doc__
)
