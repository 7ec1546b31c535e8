"""The uses of library names in one file.

Guarantee: each maximal dotted name that may be a library's, or a builtin, is a `Use`; imports too.
A use that is only one of several meanings is never said to run surely at import.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from .use import Use

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .context import Context
    from .use import How

USE_NODES: Final = (ast.Name, ast.Attribute, ast.Call, ast.alias)


def uses_of(node: ast.AST, context: Context) -> Iterator[Use]:
    """The uses that `node` itself spells."""
    if isinstance(node, ast.alias):
        yield from _imports(node, context)
    elif isinstance(node, ast.expr) and not _is_own_name(node) and not context.is_chained(node):
        meaning = context.meaning(node)
        if meaning.names and not _is_presence_test(node, meaning.names, context):
            surely = meaning.complete and len(meaning.names) == 1
            for name in meaning.names:
                yield _use(node, name, _how(node, context), context, surely)


def _is_own_name(node: ast.expr) -> bool:
    """Whether `node` binds or deletes a variable, which is nobody else's."""
    return isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)


def _is_presence_test(node: ast.expr, names: tuple[str, ...], context: Context) -> bool:
    """``if flash_attn is not None``: asks whether a module is there, and uses nothing of it."""
    return context.walk.imported.issuperset(names) and context.is_only_looked_at(node)


def _how(node: ast.expr, context: Context) -> How:
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return "store"
    return "call" if context.is_called(node) else "load"


def _imports(node: ast.alias, context: Context) -> Iterator[Use]:
    statement = context.parent(node)
    if isinstance(statement, ast.Import):
        yield _use(node, node.name, "import", context)
    elif isinstance(statement, ast.ImportFrom) and not statement.level and statement.module != "__future__":
        name = str(statement.module) if node.name == "*" else f"{statement.module}.{node.name}"
        yield _use(node, name, "import", context)


def _use(node: ast.alias | ast.expr, name: str, how: How, context: Context, surely: bool = True) -> Use:
    when = context.place(node).when
    if when == "import" and not (surely and context.sure):
        when = "conditional"
    return Use(path=context.walk.path, line=node.lineno, column=context.column(node), name=name, when=when, how=how)
