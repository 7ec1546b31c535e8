"""Graphs of `torch.fx`, which are written as Python and executed.

Keywords, targets, names of parameters and the `repr` of arguments are written as they are, often when nobody but the
user is on the stack: so each graph is looked at before it is written, whoever made it.
"""

from __future__ import annotations

import builtins
import enum
import functools
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from ..ownership import definer, descends_from_own
from ..refusal import refuse
from .compile_settings import of_remote_code
from .honesty import is_honest_member

if TYPE_CHECKING:
    from collections.abc import Callable

#: `getattr(self, "0")` is written for a part of a target that is no identifier.
_QUOTED: Final = re.compile(r'[^"\\\x00-\x1f\x7f]*')
_DOTTED: Final = re.compile(r"\w+(\.\w+)*", re.ASCII)
#: Arguments of other modules' kinds would be written as whatever their `repr` says.
_WRITTEN: Final = frozenset(["builtins", "torch", "numpy", "sympy"])


def checked_graph(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    """`CodeGen._gen_python_code`, of graphs in which every text is what it claims to be."""

    @functools.wraps(method)
    def _gen_python_code(self: Any, nodes: Any, *arguments: Any, **keywords: Any) -> Any:
        for node in nodes:
            _check_node(node)
        return method(self, nodes, *arguments, **keywords)

    return _gen_python_code


def trusted_generator(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    """`Graph._python_code`, which executes what its generator says: one of torch's own."""

    @functools.wraps(method)
    def _python_code(self: Any, *arguments: Any, **keywords: Any) -> Any:
        if descends_from_own(type(self)) or descends_from_own(type(self._codegen)):
            refuse(f"{type(self._codegen).__qualname__} as the writer of a graph")
        return method(self, *arguments, **keywords)

    return _python_code


def trusted_pass(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    """`apply_graph_pass` and its like, which hand out the graph that is being compiled: not to remote code."""

    @functools.wraps(method)
    def apply(self: Any, pass_fn: Any) -> Any:
        if of_remote_code(pass_fn):
            refuse(f"{pass_fn!r:.60} as a pass over a graph")
        return method(self, pass_fn)

    return apply


def _check_node(node: Any) -> None:
    target = node.target
    if type(node.name) is not str or not node.name.isidentifier():
        refuse(f"{node.name!r:.60} as a name in a graph")
    if node.op == "placeholder":
        if type(target) is not str or not target.lstrip("*").isidentifier():
            refuse(f"{target!r:.60} as an input of a graph")
    elif node.op != "call_function" and not (type(target) is str and _QUOTED.fullmatch(target)):
        refuse(f"{target!r:.60} as an attribute in a graph")
    for name, value in node.kwargs.items():
        if type(name) is not str or not name.isidentifier():
            refuse(f"{name!r:.60} as a keyword in a graph")
        _check_argument(value)
    _check_argument(node.args)


def _check_argument(value: Any) -> None:
    kind = type(value)
    if issubclass(kind, tuple) and definer(kind, "__iter__") is tuple:
        for item in tuple.__iter__(value):
            _check_argument(item)
    elif descends_from_own(kind):
        refuse(f"an instance of {kind.__qualname__} as an argument in a graph")
    elif issubclass(kind, list):
        for item in list.__iter__(value):
            _check_argument(item)
    elif issubclass(kind, dict):
        for key in dict.__iter__(value):
            _check_argument(key)
            _check_argument(dict.__getitem__(value, key))
    elif issubclass(kind, slice):
        _check_argument((value.start, value.stop, value.step))
    elif issubclass(kind, enum.Enum):
        if not is_honest_member(value):
            refuse(f"a member of {kind.__qualname__} with no plain name as an argument in a graph")
    elif kind.__module__.partition(".")[0] not in _WRITTEN:
        refuse(f"an instance of {kind.__module__}.{kind.__qualname__} as an argument in a graph")


def honest_origin(module: Any, real: Callable[..., Any]) -> Callable[..., Any]:
    """`torch.fx.graph._is_from_torch`: it is, if it stands in torch where it says that it does."""

    @functools.wraps(real)
    def _is_from_torch(obj: object) -> bool:
        if not real(obj):
            return False
        name = module._get_qualified_name(obj)
        return _DOTTED.fullmatch(name) is not None and _standing_at(name) is obj

    return _is_from_torch


def _standing_at(dotted: str) -> object:
    top, *rest = dotted.split(".")
    found: object = sys.modules.get(top, vars(builtins).get(top))
    for part in rest:
        found = getattr(found, part, None)
    return found


#: What is put before which function, and before which method.
FUNCTIONS: Final = {"torch.fx.graph._is_from_torch": honest_origin}
METHODS: Final = {
    "torch.fx.graph.CodeGen._gen_python_code": checked_graph,
    "torch.fx.graph.Graph._python_code": trusted_generator,
    "torch.fx.passes.graph_transform_observer.GraphTransformObserver.apply_graph_pass": trusted_pass,
    "torch.fx.passes.graph_transform_observer.GraphTransformObserver.apply_gm_pass": trusted_pass,
}
