"""Text that TorchScript turns into Python objects: types, read from source, not from checked bytecode.

Its front end takes the text of annotations, of `torch.jit.annotate` and of `# type:` comments, looks
the names up in the module, in `typing` and in the real builtins, and walks attributes and subscripts
with plain `getattr`; a `__class_getitem__` of remote code would be handed whatever stands between
the brackets. So before anything is compiled, the package's text is searched for such words.
"""

from __future__ import annotations

import ast
import re
import typing
from types import ModuleType
from typing import TYPE_CHECKING, Final

from ...grammar import refused_attribute
from ..builtins import BURIED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_REFUSED: Final = frozenset(
    [
        *(set(BURIED) - {"input", "help", "exit", "quit"}),
        "open",
        "getattr",
        "setattr",
        "delattr",
        "type",
        "ForwardRef",
        "get_type_hints",
        "evaluate_forward_ref",
    ]
    + [name for name, value in vars(typing).items() if isinstance(value, ModuleType)]
)
_TYPE_TEXT: Final = re.compile(r"[\w\s.,\[\]]*\[[\w\s.,\[\]]*")


def refused_word(texts: Iterable[str]) -> str | None:
    """The first word that TorchScript would look up and remote code may not have, or None."""
    for text in texts:
        for part in _type_texts(text):
            for word in re.findall(r"[^\W\d]\w*", part):
                if word in _REFUSED or refused_attribute(word):
                    return str(word)
    return None


def _type_texts(text: str) -> Iterator[str]:
    yield from (line.partition("# type:")[2] for line in text.splitlines() if "# type:" in line)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.AnnAssign):
            yield from _names(node.annotation)
        elif isinstance(node, ast.arg) and node.annotation is not None:
            yield from _names(node.annotation)
        elif isinstance(node, ast.FunctionDef) and node.returns is not None:
            yield from _names(node.returns)
        elif isinstance(node, ast.Subscript):
            # `TABLE[type(x)]` and the like: a type is no call, and TorchScript does not look its function up.
            parts = list(ast.walk(node.slice))
            called = {id(part.func) for part in parts if isinstance(part, ast.Call)}
            yield from (part.id for part in parts if isinstance(part, ast.Name) and id(part) not in called)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _TYPE_TEXT.fullmatch(node.value):
            yield node.value


def _names(annotation: ast.expr) -> Iterator[str]:
    for part in ast.walk(annotation):
        if isinstance(part, ast.Name) and part is not annotation:
            yield part.id
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value
