"""Text to syntax tree, bounded.

Guarantee: a tree that `parse` returns is small and shallow enough for every recursive walk that
follows, in Python and in C. Hostile input is refused with a reason; it neither crashes the
interpreter nor hangs it.

Trees are mutable, so none is ever stored in a value: each stage parses the same immutable text.
"""

from __future__ import annotations

import ast
import warnings
from typing import Final

from .errors import RefusedError
from .limits import MAX_INTEGER_DIGITS, MAX_NESTING, MAX_NODES

#: `n` bits hold at most n * log10(2) digits.
_MAX_INTEGER_BITS: Final = int(MAX_INTEGER_DIGITS * 3.33)


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
        level = [child for node in level for child in _children(node, path)]


def _children(node: ast.AST, path: str) -> list[ast.AST]:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, int) and node.value.bit_length() > _MAX_INTEGER_BITS:
            raise RefusedError(f"integer of over {MAX_INTEGER_DIGITS} digits", subject=f"{path}:{node.lineno}")
        return []
    children: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, ast.AST):
            if value._fields or isinstance(value, ast.expr | ast.stmt):
                children.append(value)
        elif isinstance(value, list):
            children += [item for item in value if isinstance(item, ast.AST)]
    return children
