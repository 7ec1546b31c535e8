"""The grammar of annotations that are text: names, attributes, subscripts, `|`, and nothing that calls.

`typing` and TorchScript evaluate such text with all of Python. Here it is walked, and each of the two that do so
says what a name, an attribute, a subscript and `|` mean to it.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .refusal import refuse

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class TypeExpressions:
    """What the parts of the text of a type mean."""

    name: Callable[[str], object]
    attribute: Callable[[Any, str], object]
    item: Callable[[Any, Any], object]
    either: Callable[[Any, Any], object]

    def value(self, text: str) -> object:
        """The type that `text` names.

        Raises:
            SyntaxError: it is no expression, or one that Python cannot parse.
            GuardViolationError: it holds more than names, attributes, subscripts and `|`.
        """
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (ValueError, RecursionError, MemoryError) as error:
            raise SyntaxError(f"not the text of a type: {error}") from None
        return self._walk(tree)

    def _walk(self, node: ast.expr) -> object:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return self.name(node.id)
        if isinstance(node, ast.Attribute):
            return self.attribute(self._walk(node.value), node.attr)
        if isinstance(node, ast.Tuple):
            return tuple(self._walk(part) for part in node.elts)
        if isinstance(node, ast.List):
            return [self._walk(part) for part in node.elts]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self.either(self._walk(node.left), self._walk(node.right))
        if isinstance(node, ast.Subscript):
            return self.item(self._walk(node.value), self._walk(node.slice))
        refuse(f"{type(node).__name__} in the text of a type: only names, attributes, subscripts and |")
