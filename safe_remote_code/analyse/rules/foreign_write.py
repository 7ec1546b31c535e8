"""A write to something that the code does not own.

What
    Assigning, augmenting or deleting an attribute or item of a library's module, class or container, in
    any target position (``=``, ``+=``, ``del``, ``for``, ``with``, unpacking), with ``setattr``, ``delattr``, or by
    a mutating method of a shared container (``os.environ.update``, ``ACT2FN.pop``); attributes of a class that
    was reached from an instance (``type(x).forward = …``), and of loggers; a library class given to a decorator
    that writes to it.

Why it matters
    A patched function is called later by trusted code: guards that let code overwrite ``json.dumps`` were
    escaped that way (open-chat-studio #4238). It also changes every other model in the process.

Example
    ``torch.load = my_load``; ``os.environ["LD_PRELOAD"] = "x.so"``

Instead
    Subclass, or set the attribute on an instance of your own.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ...flags import FLAGS
from ..context import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...finding import Finding
    from ..context import Context

_MUTATORS: Final = frozenset(
    ["append", "extend", "insert", "pop", "popitem", "clear", "remove", "discard", "update", "setdefault", "reverse"]
)
_SHARED: Final = frozenset(["os.environ", "os.environb", "sys.path", "sys.modules", "sys.meta_path", "sys.path_hooks",
                            "warnings.filters", "sys.argv", "logging.root"])  # fmt: skip
_UNBOUND: Final = ("builtins.dict.", "builtins.list.", "builtins.set.")
_UNBOUND_MUTATORS: Final = _MUTATORS | {"__setitem__", "__delitem__", "__ior__", "__iadd__", "add"}
#: Write to the class that they are given.
_DECORATORS: Final = frozenset(
    ["dataclasses.dataclass", "typing.final", "typing.no_type_check", "typing.override", "typing.runtime_checkable",
     "typing.dataclass_transform", "functools.total_ordering", "enum.unique", "weakref.proxy"]
)  # fmt: skip
_SHARERS: Final = frozenset(
    ["builtins.type", "logging.getLogger", "transformers.utils.logging.get_logger", "transformers.logging.get_logger",
     "weakref.proxy"]
)  # fmt: skip
#: Under the guard, variables stay with the package, and entries of its own may be added to these.
_ANSWERED: Final = frozenset(
    ["os.environ", "transformers.convert_slow_tokenizer.SLOW_TO_FAST_CONVERTERS", "transformers.activations.ACT2CLS",
     "transformers.activations.ACT2FN", "transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS",
     "transformers.modeling_utils.ALL_ATTENTION_FUNCTIONS", "transformers.masking_utils.ALL_MASK_ATTENTION_FUNCTIONS"]
)  # fmt: skip
_REMEDY: Final = "subclass it, or set the attribute on an instance of your own"


def _check(node: ast.AST, context: Context) -> Sequence[Finding]:
    if isinstance(node, ast.Call):
        return _call(node, context)
    if isinstance(node, ast.AugAssign):
        return _write(node, node.target, context) if isinstance(node.target, ast.Name) else ()
    if not isinstance(node, ast.Attribute | ast.Subscript) or isinstance(node.ctx, ast.Load):
        return ()
    if isinstance(node, ast.Attribute) and _is_shared_object(node.value, context):
        return [_held(node, f"writes attribute {node.attr} of an object that others share", context)]
    return _write(node, node.value, context)


def _held(node: ast.AST, message: str, context: Context) -> Finding:
    return context.finding(node, RULE.id, message, "guard", remedy=_REMEDY, capability="monkey-patch")


def _is_shared_object(owner: ast.expr, context: Context) -> bool:
    """``type(x)``, ``x.__class__``, a logger, a weak proxy."""
    if isinstance(owner, ast.Attribute):
        return owner.attr == "__class__"
    if not isinstance(owner, ast.Name | ast.Call):
        return False
    calls = [value for value in context.bound_values(owner) if isinstance(value, ast.Call)]
    return any(name in _SHARERS for call in calls for name in context.meaning(call.func).names)


def _write(node: ast.AST, owner: ast.expr, context: Context) -> Sequence[Finding]:
    meaning = context.meaning(owner)
    names = [name for name in meaning.names if not name.startswith("builtins.")] or list(meaning.names)
    if not names and not meaning.modules:
        return ()
    name = names[0] if names else meaning.modules[0]
    surely = meaning.complete and not meaning.modules and len(meaning.names) == 1
    # The guard answers for environment variables, which real code sets at import, and shows copies of lists.
    # So it does for a class of its own under a new name (`transformers.MyProcessor = MyProcessor`),
    # which stays in its view.
    adds_class = isinstance(node, ast.Attribute) and node.attr[:1].isupper() and isinstance(node.ctx, ast.Store)
    # And for flags, whose values it sees.
    flag = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and f"{name}.{node.attr}" in FLAGS
    held = not isinstance(node, ast.Attribute | ast.Subscript) or name in _ANSWERED or adds_class or flag
    return [
        context.finding(node, RULE.id, f"writes to {name}, which this code does not own",
                        context.enforcement(node) if surely and not held else "guard",
                        remedy=_REMEDY, capability="monkey-patch", name=name)
    ]  # fmt: skip


def _call(node: ast.Call, context: Context) -> Sequence[Finding]:
    function = node.func
    if isinstance(function, ast.Attribute) and function.attr in _MUTATORS:
        meaning = context.meaning(function.value)
        if any(_is_container(name) for name in meaning.names):
            return _write(node, function.value, context)
    if not node.args:
        return ()
    names = context.meaning(function).names
    if "builtins.setattr" in names or "builtins.delattr" in names:
        return _set(node, context)
    if any(name in _DECORATORS for name in names):
        return _write(node, node.args[0], context)
    if any(name.startswith(_UNBOUND) and name.rpartition(".")[2] in _UNBOUND_MUTATORS for name in names):
        return _unbound(node, context)
    return ()


def _unbound(node: ast.Call, context: Context) -> Sequence[Finding]:
    """``dict.update(x, …)`` writes past whatever the class of `x` says about writing."""
    if context.meaning(node.args[0]).receiver:
        return ()
    found = _write(node, node.args[0], context)
    return found or [_held(node, "writes to a container by a method of its base class", context)]


def _set(node: ast.Call, context: Context) -> Sequence[Finding]:
    if _is_shared_object(node.args[0], context):
        return [_held(node, "writes an attribute of an object that others share", context)]
    found = _write(node.args[0], node.args[0], context)
    sure = context.when_sure(node) and context.meaning(node.args[0]).complete
    return [replace(item, enforcement="refuse" if sure else "guard") for item in found]


def _is_container(name: str) -> bool:
    last = name.rpartition(".")[2]
    return name in _SHARED or (len(last) > 2 and last.isupper())


RULE = Rule(
    id="foreign-write",
    nodes=(ast.Attribute, ast.Subscript, ast.Call, ast.AugAssign),
    check=_check,
    documentation=__doc__,
)
