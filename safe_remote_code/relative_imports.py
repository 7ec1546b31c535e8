"""Which files of its own repository a module can import.

Found by the syntax tree, not by a regular expression: `from . import x`, `from .a.b import c`,
packages with `__init__.py`, and `import_module(".x", __package__)` with a literal are all followed,
and text in docstrings is not.
"""

from __future__ import annotations

import ast
import posixpath
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, final

from .syntax import parse, walk

if TYPE_CHECKING:
    from collections.abc import Iterator


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Alternative `paths`, the first that exists is meant; `required` if one of them must exist."""

    paths: tuple[str, ...]
    required: bool


def candidates(module: str, level: int, importer: str) -> tuple[str, ...]:
    """Paths that `level` dots and `module`, written in the file `importer`, can mean."""
    folder = posixpath.dirname(importer)
    for _ in range(level - 1):
        if not folder:
            return ()
        folder = posixpath.dirname(folder)
    if not module:
        return (posixpath.join(folder, "__init__.py"),) if folder else ()
    base = posixpath.join(folder, *module.split("."))
    return (f"{base}.py", f"{base}/__init__.py")


def _requests(tree: ast.Module) -> Iterator[tuple[str, int, tuple[str, ...], bool]]:
    """Every relative import of `tree`: module, level, the names taken, and whether a `try` expects it to fail."""
    expected: set[int] = set()
    for node in walk(tree):  # level by level: a `try` comes before what stands in it
        if isinstance(node, ast.Try):
            expected.update(map(id, _imports_within(node)))
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield node.module or "", node.level, tuple(alias.name for alias in node.names), id(node) in expected
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            text = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
            if called == "import_module" and isinstance(text, str) and text.startswith("."):
                yield text.lstrip("."), len(text) - len(text.lstrip(".")), (), True


def _imports_within(node: ast.Try) -> Iterator[ast.ImportFrom]:
    """Imports directly in the body of a `try` (under `if` and `with` too), whose failure its handlers see."""
    pending: list[ast.stmt] = list(node.body)
    while pending:
        statement = pending.pop()
        if isinstance(statement, ast.ImportFrom):
            yield statement
        elif isinstance(statement, ast.If | ast.With):
            pending += [*statement.body, *getattr(statement, "orelse", ())]


def relative_imports(tree: ast.Module, path: str) -> list[Wanted]:
    """What the file `path` with the syntax tree `tree` imports from its own repository."""
    wanted: list[Wanted] = []
    for module, level, names, may_fail in _requests(tree):
        wanted.append(Wanted(paths=candidates(module, level, path), required=bool(module) and not may_fail))
        # `from .package import name` may mean the file package/name.py, or just an attribute.
        wanted += [
            Wanted(paths=candidates(f"{module}.{name}".lstrip("."), level, path), required=False)
            for name in names
            if name != "*"
        ]
    return [item for item in wanted if item.paths]


@lru_cache(maxsize=64)
def imports_of(text: str, path: str) -> tuple[Wanted, ...]:
    """What the file `path` with the text `text` imports from its own repository.

    Remembered in this process: fetching asks to find the files, and verifying asks again to see that none is missing.

    Raises:
        RefusedError: not Python, or too large.
    """
    return tuple(relative_imports(parse(text, path), path))
