"""A write to something that only the guard could look at, found where the guard is switched off.

What
    Without the guard: an attribute or item that is written of anything but the receiver of a method or a container
    that was displayed here; and a class, a container or another object of a library that is handed on as a value
    (``put(torch.nn.Linear)``, ``[ACT2FN]``, ``x.__class__``), so that its new name says nothing of it; and the name of
    an implementation that a configuration is given.

Why it matters
    Names of variables do not say what they hold. ``def put(cls): cls.forward = mine`` patches whatever it is given.
    Under the guard each such write asks its receiver when it happens, so there is no finding.

Example
    ``for cls in [torch.nn.Linear]: cls.forward = mine``

Instead
    Nothing is wrong with it under the guard.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from ...grammar import IMPLEMENTATIONS
from ..context import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...finding import Finding
    from ..context import Context

_DISPLAYS: Final = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp, ast.Tuple)
_MUTATORS: Final = frozenset(
    ["append", "extend", "insert", "pop", "popitem", "clear", "remove", "discard", "update", "setdefault", "add"]
)
#: Of a class that was reached from an instance, these are text.
_TEXTS: Final = frozenset(["__name__", "__qualname__", "__module__", "__doc__"])
#: What a parameter is called that takes a function, which a decorator marks.
_TAKES_FUNCTION: Final = frozenset(["fn", "func", "function"])
_ASKS: Final = ("isinstance", "issubclass", "hasattr")


def _check(node: ast.AST, context: Context) -> Sequence[Finding]:
    if isinstance(node, ast.Call):
        return _call(node, context)
    if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
        return _written(node, node.value, context)
    if not isinstance(node, ast.Name | ast.Attribute) or context.place(node).annotation or context.is_called(node):
        return ()
    parent = context.parent(node)
    if isinstance(node, ast.Attribute) and node.attr == "__class__":
        text = isinstance(parent, ast.Attribute) and parent.attr in _TEXTS
        return () if text else [_held(node, "the class of an object is handed on", context)]
    if isinstance(parent, ast.Attribute) or _is_asked(node, parent, context):
        return ()
    names = [name for name in context.meaning(node).names if not name.startswith("builtins.")]
    given = isinstance(parent, ast.Call) or (isinstance(parent, ast.keyword) and parent.arg in _TAKES_FUNCTION)
    if any(given or _may_be_changed(name) for name in names):
        return [_held(node, f"{names[0]} is handed on under another name", context)]
    return ()


def _call(node: ast.Call, context: Context) -> Sequence[Finding]:
    if isinstance(node.func, ast.Name) and context.is_builtin(node.func, "type"):
        parent = context.parent(node)
        if isinstance(parent, ast.Attribute) and parent.attr in _TEXTS:
            return ()
        return [_held(node, "the class of an object is handed on", context)]
    if context.is_builtin(node.func, "setattr", "delattr") and node.args:
        return _written(node, node.args[0], context)
    if isinstance(node.func, ast.Attribute) and node.func.attr in _MUTATORS and context.meaning(node.func.value).names:
        return [_held(node, f"{node.func.attr}() of an object of a library", context)]
    return ()


def _written(node: ast.AST, owner: ast.expr, context: Context) -> Sequence[Finding]:
    if getattr(node, "attr", "") in IMPLEMENTATIONS:
        return [_held(node, "names an implementation to load", context)]
    return () if _is_own(owner, context) else [_held(node, "writes to something that may be a library's", context)]


def _is_own(owner: ast.expr, context: Context) -> bool:
    """Whether `owner` is the receiver of a method, or a name that only displays were bound to."""
    if context.meaning(owner).receiver:
        return True
    values = context.bound_values(owner)
    return isinstance(owner, ast.Name) and bool(values) and all(isinstance(item, _DISPLAYS) for item in values)


def _is_asked(node: ast.expr, parent: ast.AST, context: Context) -> bool:
    """Whether nothing but a question is put to `node`: is it there, is something an instance of it."""
    if isinstance(parent, ast.Call) and parent.func is not node and context.is_builtin(parent.func, *_ASKS):
        return True
    return isinstance(parent, ast.ExceptHandler) or context.is_only_looked_at(node)


def _may_be_changed(name: str) -> bool:
    """Classes and containers by the way that they are spelt; functions and numbers are not."""
    return name.rpartition(".")[2].lstrip("_")[:1].isupper()


def _held(node: ast.AST, message: str, context: Context) -> Finding:
    return context.finding(node, RULE.id, message, "guard", capability="monkey-patch")


RULE = Rule(
    id="unowned-write", nodes=(ast.Attribute, ast.Subscript, ast.Name, ast.Call), check=_check, documentation=__doc__
)
