"""An attribute whose danger depends on the receiver, on any library.

What
    A read of ``__dict__``, ``__new__``, ``__getstate__``, ``__setstate__``, ``__annotations__``, ``__get__``, ``fget``,
    ``__enter__``, ``__exit__``, ``__init_subclass__`` or ``obj`` on something other than ``self``, ``super()`` or
    ``object``; and ``__init__``, ``__post_init__``, ``__setitem__``
    or ``__delitem__`` of anything else than these that is not called with ``self``.

Why it matters
    ``__dict__`` of a module or class hands out everything in it (crewAI #4516); ``obj`` of an
    ``AttributeError`` is the live object on which the access failed (CVE-2024-47532).

Example
    ``type.__dict__["__subclasses__"]``

Instead
    ``vars`` of your own objects by ``self.__dict__``; named attributes. Under the guard the receiver is
    checked when the attribute is read.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from ..context import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...finding import Finding
    from ..context import Context

_NAMES: Final = frozenset(
    ["__dict__", "__new__", "__getstate__", "__setstate__", "__annotations__", "__get__", "fget", "__enter__",
     "__exit__", "__init_subclass__", "obj"]
)  # fmt: skip
#: Methods that write to their first argument; of the receiver of the method around them, they are as good as super()'s.
_WRITERS: Final = frozenset(["__init__", "__post_init__", "__setitem__", "__delitem__"])


def _check(node: ast.AST, context: Context) -> Sequence[Finding]:
    if not isinstance(node, ast.Attribute) or node.attr not in _NAMES | _WRITERS or not isinstance(node.ctx, ast.Load):
        return ()
    receiver = node.value
    own = isinstance(receiver, ast.Call) and isinstance(receiver.func, ast.Name) and receiver.func.id == "super"
    if own or context.meaning(receiver).receiver or (node.attr == "__new__" and context.is_builtin(receiver, "object")):
        return ()
    if node.attr in _WRITERS:
        call = context.parent(node)
        if isinstance(call, ast.Call) and call.func is node and call.args and context.meaning(call.args[0]).receiver:
            return ()
        message = f"{node.attr} writes to whatever it is called with"
        return [context.finding(node, RULE.id, message, "guard", capability="monkey-patch", name=node.attr)]
    message = f"attribute {node.attr} hands out internals of some objects, or changes them"
    return [context.finding(node, RULE.id, message, "guard", capability="introspection", name=node.attr)]


RULE = Rule(id="checked-attribute", nodes=(ast.Attribute,), check=_check, documentation=__doc__)
