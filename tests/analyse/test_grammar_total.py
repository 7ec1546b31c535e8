"""Every concrete syntax node of the running Python has an entry: a new Python fails here, not at the user."""

from __future__ import annotations

import ast
import sys
import warnings

from safe_remote_code.grammar import NODES

_ABSTRACT = {"AST", "mod", "stmt", "expr", "expr_context", "boolop", "operator", "unaryop", "cmpop", "excepthandler",
             "pattern", "type_ignore", "type_param"}  # fmt: skip
#: Python 3.7 and older; kept by `ast` for old code, made by no parser.
_DEPRECATED = {"Num", "Str", "Bytes", "NameConstant", "Ellipsis", "Index", "ExtSlice", "Suite", "AugLoad", "AugStore",
               "Param", "slice", "_ast_Ellipsis"}  # fmt: skip


def _concrete() -> set[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classes = {
            name for name in dir(ast) if isinstance(value := getattr(ast, name), type) and issubclass(value, ast.AST)
        }
    return classes - _ABSTRACT - _DEPRECATED


def test_every_node_class_has_an_entry() -> None:
    assert _concrete() - set(NODES) == set()


def test_the_number_of_node_classes_is_the_one_that_was_reviewed() -> None:
    inside = _concrete() - {"Module", "Interactive", "Expression", "FunctionType", "TypeIgnore"}
    assert len(inside) == (102 if sys.version_info[:2] == (3, 11) else 106)


def test_no_entry_is_of_an_unknown_class() -> None:
    newer = {"TypeAlias", "TypeVar", "ParamSpec", "TypeVarTuple"}  # since 3.12
    assert set(NODES) - _concrete() <= newer
    assert all(why is None or why for why in NODES.values())
