"""An attribute whose name is computed, or reached through a reflective function.

What
    ``getattr``, ``hasattr``, ``setattr`` and ``delattr`` with a name that is not a literal, or with a literal
    that no code may use; these functions handed on as values (``map(getattr, …)``); ``operator.attrgetter``
    and its kin; ``x.__getattribute__`` and ``x.__setattr__`` called directly.

Why it matters
    A computed name gets past every check of names in the text: raw ``getattr`` was the way out of
    RestrictedPython users for years (#142, CVE-2026-53710), ``attrgetter`` the way past pickle scanners.

Example
    ``getattr(torch, "lo" + "ad")("weights.bin")``

Instead
    A dictionary from names to functions. Under the guard, computed names are checked when they are used.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from ...grammar import IMPLEMENTATIONS, refused_attribute, refused_attribute_store, refused_implementation
from ..context import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...finding import Finding
    from ..context import Context

_REFLECTIVE: Final = frozenset(["getattr", "hasattr", "setattr", "delattr"])
_LIBRARY: Final = frozenset(
    ["operator.attrgetter", "operator.methodcaller", "_operator.attrgetter", "_operator.methodcaller",
     "inspect.getattr_static", "inspect.getmembers", "functools.reduce"]
)  # fmt: skip
_HOOKS: Final = frozenset(["__getattribute__", "__getattr__", "__setattr__", "__delattr__"])


def _check(node: ast.AST, context: Context) -> Sequence[Finding]:
    if isinstance(node, ast.Attribute):
        return _attribute(node, context)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and _is_reflective(node, context):
        parent = context.parent(node)
        if isinstance(parent, ast.Call) and parent.func is node:
            return _call(parent, context)
        return [
            context.finding(node, RULE.id, f"{node.id} is handed on as a value", "guard", capability="introspection")
        ]
    return ()


def _is_reflective(node: ast.Name, context: Context) -> bool:
    names = context.meaning(node).names
    return bool(names) and any(name.removeprefix("builtins.") in _REFLECTIVE for name in names)


def _attribute(node: ast.Attribute, context: Context) -> Sequence[Finding]:
    if node.attr in _HOOKS and isinstance(node.ctx, ast.Load):
        message = f"{node.attr} reads or writes attributes by computed name"
        return [context.finding(node, RULE.id, message, "guard", capability="introspection", name=node.attr)]
    if node.attr in ("attrgetter", "methodcaller", "getattr_static") and not _LIBRARY.isdisjoint(
        context.meaning(node).names
    ):
        return [
            context.finding(node, RULE.id, f"{node.attr} reads attributes by name", "guard", capability="introspection")
        ]
    return ()


def _call(call: ast.Call, context: Context) -> Sequence[Finding]:
    function = call.func.id if isinstance(call.func, ast.Name) else "getattr"
    if len(call.args) < 2 or any(isinstance(item, ast.Starred) for item in call.args[:2]):
        return [
            context.finding(call, RULE.id, f"{function} with unpacked arguments", "guard", capability="introspection")
        ]
    key = call.args[1]
    if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
        return [context.finding(call, RULE.id, f"{function} with a computed name", "guard", capability="introspection")]
    stored = function in ("setattr", "delattr")
    why = refused_attribute_store(key.value) if stored else refused_attribute(key.value)
    if function == "setattr" and key.value in IMPLEMENTATIONS:
        if not isinstance(call.args[-1], ast.Constant):
            return [context.finding(call, RULE.id, f"setattr: {key.value}, by its value", "guard", name=key.value)]
        why = refused_implementation(call.args[-1].value)
    if not why:
        return ()
    # hasattr hands nothing out, and asking for an odd name is common.
    enforcement = "note" if function == "hasattr" else "refuse"
    return [context.finding(call, RULE.id, f"{function}: attribute {key.value} {why}", enforcement, name=key.value)]  # type: ignore[arg-type]  # a literal


RULE = Rule(id="dynamic-attribute", nodes=(ast.Name, ast.Attribute), check=_check, documentation=__doc__)
