"""Text to syntax tree, bounded.

Guarantee: a tree that `parse` returns is small and shallow enough for every recursive walk that
follows, in Python and in C. Hostile input is refused with a reason; it neither crashes the
interpreter nor hangs it.

Trees are mutable, so none is ever stored in a value: each stage parses the same immutable text.
"""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING, Final

from .errors import RefusedError
from .limits import MAX_INTEGER_DIGITS, MAX_NESTING, MAX_NODES

if TYPE_CHECKING:
    from collections.abc import Iterator

#: `n` bits hold at most n * log10(2) digits.
_MAX_INTEGER_BITS: Final = int(MAX_INTEGER_DIGITS * 3.33)
#: Fields that hold text, or a context or operator: nodes that have no fields of their own.
_LEAVES: Final = frozenset(["ctx", "op", "id", "attr", "level", "type_comment"])
_CHILD_FIELDS: Final[dict[type[ast.AST], tuple[str, ...]]] = {
    cls: tuple(name for name in cls._fields if name not in _LEAVES)
    for cls in vars(ast).values()
    if isinstance(cls, type) and issubclass(cls, ast.AST)
}


def parse(text: str, path: str) -> ast.Module:
    """The syntax tree of `text`.

    Raises:
        RefusedError: not Python, nested too deep, or too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in remote code is not ours to report
            tree = ast.parse(text, path)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        message = getattr(error, "msg", None) or str(error)
        raise RefusedError(f"not Python {_version()}: {message}", subject=f"{path}:{line}") from None
    except (RecursionError, MemoryError, OverflowError):
        raise RefusedError("nested too deep for the parser", subject=path) from None
    _check_size(tree, path)
    return tree


def _version() -> str:
    import sys

    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _check_size(tree: ast.Module, path: str) -> None:
    level: list[ast.AST] = [tree]
    count = depth = 0
    while level:
        count += len(level)
        depth += 1
        if depth > MAX_NESTING or count > MAX_NODES:
            what = f"deeper than {MAX_NESTING} levels" if depth > MAX_NESTING else f"more than {MAX_NODES} nodes"
            raise RefusedError(f"syntax tree of {what}", subject=path)
        level = _below(level, path)


def walk(tree: ast.Module) -> Iterator[ast.AST]:
    """Every node of a parsed tree but contexts and operators, level by level; as `ast.walk`, but faster."""
    level: list[ast.AST] = [tree]
    while level:
        yield from level
        level = _below(level, "")


def _below(level: list[ast.AST], path: str) -> list[ast.AST]:
    """The children of all nodes of `level`. One loop and no calls: every node of every file comes by here."""
    children: list[ast.AST] = []
    for node in level:
        cls = node.__class__
        if cls is ast.Constant:
            _check_constant(node, path)  # type: ignore[arg-type]  # its class was looked at
            continue
        for name in _CHILD_FIELDS.get(cls, cls._fields):
            value = getattr(node, name, None)
            if value.__class__ is list:
                children += [item for item in value if isinstance(item, ast.AST)]
            elif isinstance(value, ast.AST):
                children.append(value)
    return children


def _check_constant(node: ast.Constant, path: str) -> None:
    if isinstance(node.value, int) and node.value.bit_length() > _MAX_INTEGER_BITS:
        raise RefusedError(f"integer of over {MAX_INTEGER_DIGITS} digits", subject=f"{path}:{node.lineno}")


def yields(node: ast.AST) -> bool:
    """Whether the function that holds `node` yields inside it."""
    if isinstance(node, ast.Yield | ast.YieldFrom):
        return True
    if isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
        return False
    return any(map(yields, ast.iter_child_nodes(node)))
