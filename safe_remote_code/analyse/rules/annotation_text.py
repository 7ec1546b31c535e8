"""Annotation text that is more than a type.

What
    A string in an annotation (also nested, as in ``Optional["…"]``), or a whole annotation when
    ``from __future__ import annotations`` turns it into text, that holds a call, a lambda, an attribute which
    code may not read, or anything but names, attributes, subscripts, ``|``, constants, tuples and lists.
    A call whose arguments are names that nothing binds (``"torch.Tensor(B, L)"``) cannot happen and is left to
    the guard. ``Literal[…]`` and the metadata of ``Annotated[…]`` stay text and are left alone; text that is not
    Python (``Float[Tensor, "batch channels"]``) can never be evaluated and is only noted.

Why it matters
    ``typing.get_type_hints``, dataclasses and argument parsers evaluate annotation text with plain ``eval``,
    in trusted code, where no check of calls and attributes reaches.

Example
    ``def f(x: "__import__('os').system('id')"): ...``

Instead
    Write the type itself.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from ...grammar import refused_attribute, refused_variable
from ..context import Rule
from ..names import BUILTIN_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...finding import Enforcement, Finding
    from ..context import Context

    Complaint = tuple[str, Enforcement]

_TYPE_NODES: Final = (
    ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.Tuple, ast.List, ast.Load, ast.Starred, ast.UnaryOp,
    ast.USub, ast.BitOr,
)  # fmt: skip
_MAX_DEPTH: Final = 5
_MAX_TEXT: Final = 1000
_DIMENSIONS: Final = ("jaxtyping.", "torchtyping.", "nptyping.")


def _check(node: ast.AST, context: Context) -> Sequence[Finding]:
    annotation = (
        node.returns if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else getattr(node, "annotation", None)
    )
    if isinstance(node, ast.Subscript):
        return _generic(node, context)
    if not isinstance(annotation, ast.expr):
        return ()
    complaints = list(_expression(annotation, context))
    if context.walk.postponed:
        complaints += _as_text(annotation, context)
    return [
        context.finding(annotation, RULE.id, message, enforcement) for message, enforcement in dict.fromkeys(complaints)
    ]


def _generic(node: ast.Subscript, context: Context) -> Sequence[Finding]:
    """``Optional["…"]`` outside an annotation: as an alias, a base class, an argument of ``cast``."""
    if context.place(node).annotation or not isinstance(node.ctx, ast.Load):
        return ()
    names = context.meaning(node.value).names
    if not any(name.startswith(("typing.", "typing_extensions.", "collections.abc.")) for name in names):
        return ()
    complaints = dict.fromkeys(_expression(node, context))
    return [context.finding(node, RULE.id, message, enforcement) for message, enforcement in complaints]


def _expression(node: ast.expr, context: Context) -> Iterator[Complaint]:
    """Complaints about the strings in a type expression."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield from _text(node.value, context)
    elif isinstance(node, ast.Name):
        yield from _named(node, context)
    elif isinstance(node, ast.Subscript):
        yield from _expression(node.value, context)
        base = node.value
        if isinstance(base, ast.Name) and not context.meaning(base).names and context.bound_values(base):
            yield f"annotation {base.id}[...] may be text that was put there", "guard"
        for part in _arguments(node, _base(node.value, context)):
            yield from _expression(part, context)
    elif isinstance(node, ast.BinOp):
        yield from _expression(node.left, context)
        yield from _expression(node.right, context)
    elif isinstance(node, ast.Tuple | ast.List):
        for part in node.elts:
            yield from _expression(part, context)
    elif isinstance(node, ast.Attribute):
        if not context.meaning(node).names:
            yield f"annotation {ast.unparse(node)[:60]} may be text that was put there", "guard"
    elif not isinstance(node, ast.Starred | ast.Slice) and not context.walk.postponed:
        yield f"annotation is computed by a {type(node).__name__}", "guard"


def _named(node: ast.Name, context: Context) -> Iterator[Complaint]:
    """A name that was bound to text is text; one that was bound to computed text is for the guard."""
    if not context.place(node).annotation or context.meaning(node).complete:
        return
    for value in context.bound_values(node):
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield from _text(value.value, context)
        elif isinstance(value, ast.JoinedStr) or (isinstance(value, ast.BinOp) and not isinstance(value.op, ast.BitOr)):
            yield f"annotation {node.id} is computed text", "guard"
        elif isinstance(value, ast.Call) and not _makes_type(value, context):
            yield f"annotation {node.id} is the result of a call", "guard"


def _makes_type(call: ast.Call, context: Context) -> bool:
    names = context.meaning(call.func).names
    return bool(names) and all(
        name.startswith(("typing.", "typing_extensions.", "collections.", "builtins.type")) for name in names
    )


def _base(node: ast.expr, context: Context) -> str:
    """The dotted name of what is subscripted; its last part if that is all one can say."""
    names = context.meaning(node).names
    return names[0] if len(names) == 1 else ""


def _arguments(node: ast.Subscript, base: str) -> list[ast.expr]:
    """The arguments of a subscript that are types or type text."""
    if base.rpartition(".")[2] == "Literal" and base.startswith(("typing.", "typing_extensions.")):
        return []
    parts = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if base.rpartition(".")[2] == "Annotated" and base.startswith(("typing.", "typing_extensions.")):
        return parts[:1]
    if base.startswith(_DIMENSIONS):  # text of dimensions; braces and calls in it are evaluated by jaxtyping
        return [part for part in parts if not _is_dimensions(part)]
    return parts


def _is_dimensions(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and not set(node.value) & set("{}().[]")


def _text(text: str, context: Context, depth: int = 0) -> Iterator[Complaint]:
    """Complaints about `text`, as the expression that it would become."""
    stripped = text.strip()
    if len(stripped) > _MAX_TEXT:
        yield f"annotation text of over {_MAX_TEXT} characters", "refuse"
        return
    if stripped.startswith("*"):
        stripped = f"({stripped},)[0]"  # what typing.ForwardRef makes of it
    try:
        tree = ast.parse(stripped, mode="eval")
    except (SyntaxError, ValueError):
        yield f"annotation text is not Python: {text[:60]!r}", "note"
        return
    except (RecursionError, MemoryError):
        yield "annotation text is nested too deep", "refuse"
        return
    yield from _type_text(tree.body, context, depth)


def _type_text(tree: ast.expr, context: Context, depth: int = 0) -> Iterator[Complaint]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (why := refused_attribute(node.attr)):
            yield f"annotation text reads attribute {node.attr}, which {why}", "refuse"
        elif isinstance(node, ast.Name) and (why := refused_variable(node.id)):
            yield f"annotation text reads {node.id}, which {why}", "refuse"
        elif isinstance(node, ast.BinOp):
            if not isinstance(node.op, ast.BitOr):
                yield "annotation text computes something", "refuse"
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                yield from _nested(node.value, context, depth)
        elif isinstance(node, ast.Call) and _never_called(node, context):
            yield "annotation text holds a call, with arguments that do not exist", "guard"
        elif not isinstance(node, _TYPE_NODES):
            yield f"annotation text holds a {type(node).__name__}: it is evaluated as code", "refuse"


def _never_called(call: ast.Call, context: Context) -> bool:
    """Whether an argument is a name that nothing binds: documentation such as ``"torch.Tensor(B, L)"``."""
    walk = context.walk
    if walk.scope.stars:
        return False
    known = (walk.scope.bindings, walk.defined, BUILTIN_NAMES)
    return any(isinstance(item, ast.Name) and not any(item.id in names for names in known) for item in call.args)


def _nested(text: str, context: Context, depth: int) -> Iterator[Complaint]:
    if depth >= _MAX_DEPTH:
        yield "annotation text is nested too deep", "refuse"
    else:
        yield from _text(text, context, depth + 1)


def _as_text(annotation: ast.expr, context: Context) -> Iterator[Complaint]:
    """Under PEP 563 the whole annotation is text: the same rules, without metadata."""
    pending = [annotation]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Subscript):
            pending += [node.value, *_arguments(node, _base(node.value, context))]
        elif isinstance(node, ast.Tuple | ast.List):
            pending += node.elts
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            pending += [node.left, node.right]
        elif not isinstance(node, ast.Constant):  # strings in it were looked at already
            yield from _type_text(node, context)


RULE = Rule(
    id="annotation-text",
    nodes=(ast.arg, ast.FunctionDef, ast.AsyncFunctionDef, ast.AnnAssign, ast.Subscript),
    check=_check,
    documentation=__doc__,
)
