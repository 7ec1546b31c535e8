"""Names and texts of remote code in the source that torch's compilers write and execute.

`torch.fx` writes a graph as Python: keywords, targets, names of parameters and the `repr` of arguments, as they are.
`torch._dynamo` looks the builtins of every frame up in those of the outermost one. sympy executes the text of an
expression. Who is on the stack then may be nobody but the user, so each of these is watched whoever asks.
"""

from __future__ import annotations

import builtins
import enum
import functools
import inspect
import re
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from ..ownership import PACKAGE_PREFIX, context_on_stack, definer, descends_from_own, owns, owns_class
from ..receivers import loaded_classes
from ..refusal import refuse

if TYPE_CHECKING:
    from collections.abc import Callable

#: `getattr(self, "0")` is written for a part of a target that is no identifier.
_QUOTED: Final = re.compile(r'[^"\\\x00-\x1f\x7f]*')
_UNQUOTABLE: Final = re.compile(r'["\\\x00-\x1f\x7f]')
_DOTTED: Final = re.compile(r"\w+(\.\w+)*", re.ASCII)
#: Arguments of other modules' kinds would be written as whatever their `repr` says.
_WRITTEN: Final = frozenset(["builtins", "torch", "numpy", "sympy"])
#: Where classes may stand that an export makes again: any of the first two, containers of the others.
_MODELS: Final = frozenset(["transformers", PACKAGE_PREFIX.rstrip(".")])
_EXPORTED: Final = _MODELS | {"builtins", "collections", "torch"}
_CONTAINERS: Final = (dict, list, tuple, set, frozenset)
_TRACED: Final = (
    "torch.SymInt", "torch.SymFloat", "torch.SymBool", "torch.Tensor", "torch.fx.proxy.Proxy", "torch.fx.node.Node",
    "sympy.core.basic.Basic",
)  # fmt: skip
_COUNTING: Final = frozenset(["abs", "bool", "float", "int", "max", "min", "pow", "round"])
_ARITHMETIC: Final = re.compile(r"(?!.*(__|\.[^\W\d]))[\w\s.+\-*/%(),<>=!&|~^]*", re.ASCII)


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


def trusted_backend(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    """`__init__` of what `torch.compile` hands graphs to, also where a library compiles as a configuration says."""

    @functools.wraps(method)
    def __init__(self: Any, backend: Any, *arguments: Any, **keywords: Any) -> None:
        called = backend
        while isinstance(called, functools.partial):
            called = called.func
        if owns(called) or descends_from_own(type(called)):
            refuse(f"backend {backend!r:.60} of torch.compile")
        method(self, backend, *arguments, **keywords)

    return __init__


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
        if not _is_honest_member(value):
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


def own_builtins(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    """Let the compiler look a builtin up in the builtins of the frame that reads it, not in those of the outermost one.

    Guarded code has other builtins than the library code above and below it, and what was looked up is remembered by
    where it was found.
    """
    module: Any = sys.modules[cls.__module__]

    @functools.wraps(method)
    def load_builtin_from_argval(self: Any, argval: Any) -> Any:
        of_root = self.output.global_scope["__builtins__"]
        of_root = of_root if isinstance(of_root, dict) else vars(of_root)
        value = self.f_builtins.get(argval)
        if self.f_builtins is of_root or not callable(value):
            return method(self, argval)
        name = self.output.install_global_by_id("__builtins_dict__", self.f_builtins)
        source = module.DictGetItemSource(module.GlobalSource(name), argval)
        return module.VariableTracker.build(self, value, source)

    return load_builtin_from_argval


def plain_options(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    """`__call__` of the operators behind flex attention, whose scale and options become text of a kernel."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def __call__(self: Any, *arguments: Any, **keywords: Any) -> Any:
        given = signature.bind(self, *arguments, **keywords).arguments
        options = given["kernel_options"]
        if not isinstance(options, dict):
            refuse(f"{options!r:.60} as options of a kernel")
        for name, value in dict.items(options):
            if not _is_word(name) or not (_is_number(value) or _is_word(value)):
                refuse(f"{name!r:.60}: {value!r:.60} as an option of a kernel")
        if not _is_number(given["scale"]):
            refuse(f"{given['scale']!r:.60} as the scale of attention")
        return method(self, *arguments, **keywords)

    return __call__


def _is_word(value: object) -> bool:
    return type(value) is str and value.isidentifier()


def _is_number(value: object) -> bool:
    """Whether it is one, or what torch traces in the place of one."""
    return type(value) in (int, float, bool, type(None)) or isinstance(value, loaded_classes(_TRACED))


def clean_texts(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    """`GraphLowering.call_function` of Inductor, which writes messages into C++ between quotes."""

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return _UNQUOTABLE.sub("'", str.__str__(value))
        if type(value) in (tuple, list):
            return type(value)(map(clean, value))
        return value

    @functools.wraps(method)
    def call_function(self: Any, target: Any, args: Any, kwargs: Any) -> Any:
        return method(self, target, clean(tuple(args)), {key: clean(value) for key, value in kwargs.items()})

    return call_function


def exact_source(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    """`get_value` of the compiler's sources, which evaluates the text of a path to a value: of exact names and keys."""
    source: Any = vars(sys.modules[cls.__module__])["Source"]

    def check(value: Any) -> None:
        for part in vars(value).values():
            if isinstance(part, source):
                check(part)
            elif (isinstance(part, str) and type(part) is not str) or (
                descends_from_own(type(part)) and not _is_honest_member(part)
            ):
                refuse(f"an instance of {type(part).__qualname__} in the path to a value")

    @functools.wraps(method)
    def get_value(self: Any, *arguments: Any, **keywords: Any) -> Any:
        check(self)
        return method(self, *arguments, **keywords)

    return get_value


def _is_honest_member(value: object) -> bool:
    """Whether `value` is a member of an enumeration that says what it is itself."""
    kind = type(value)
    said = (definer(kind, name) for name in ("__str__", "__repr__", "__format__", "name", "_name_"))
    if not isinstance(value, enum.Enum) or any(cls is not None and owns_class(cls) for cls in said):
        return False
    return type(value._name_) is str and value._name_.isidentifier()


def only_arithmetic(module: Any, real: Callable[..., Any]) -> Callable[..., Any]:
    """`parse_expr` of sympy, which executes text: for remote code, of arithmetic."""

    @functools.wraps(real)
    def parse_expr(s: Any, *arguments: Any, **keywords: Any) -> Any:
        if context_on_stack(sys._getframe(1)) is not None:
            text = str.__str__(s) if isinstance(s, str) else ""
            words = set(re.findall(r"\w+", text)) - _COUNTING
            if not _ARITHMETIC.fullmatch(text) or words & vars(builtins).keys():
                refuse(f"sympy executes {text!r:.60}")
            s = text
        return real(s, *arguments, **keywords)

    return parse_expr


def containers_only(module: Any, real: Callable[..., Any]) -> Callable[..., Any]:
    """`_path_to_class` of transformers' exporter, which makes what an object of remote code says that it holds."""

    @functools.wraps(real)
    def _path_to_class(path: str) -> type:
        top = path.partition(".")[0].partition(":")[0]
        found = real(path) if top in _EXPORTED else None
        if not isinstance(found, type) or (top not in _MODELS and not issubclass(found, _CONTAINERS)):
            refuse(f"{path!r:.60} in the place of a container that an export makes again")
        return found

    return _path_to_class


def members_only(module: Any, real: Callable[..., Any]) -> Callable[..., Any]:
    """`enum_object_hook`, by which a saved export names members of enumerations: of those that are loaded."""

    @functools.wraps(real)
    def enum_object_hook(obj: dict[str, Any]) -> Any:
        if "__enum__" in obj:
            place, _, name = str(obj["fqn"]).partition(":")
            found: Any = sys.modules.get(place)
            for part in name.split("."):
                found = vars(found).get(part) if isinstance(found, type | ModuleType) else None
            if not (isinstance(found, type) and issubclass(found, enum.Enum)):
                refuse(f"{obj['fqn']!r:.60} in the place of an enumeration")
        return real(obj)

    return enum_object_hook


#: What is put before which function, and before which method.
FUNCTIONS: Final = {
    "torch.fx.graph._is_from_torch": honest_origin,
    "torch.utils._pytree.enum_object_hook": members_only,
    "sympy.parsing.sympy_parser.parse_expr": only_arithmetic,
    "transformers.exporters.exporter_dynamo._path_to_class": containers_only,
}
METHODS: Final = {
    "torch.fx.graph.CodeGen._gen_python_code": checked_graph,
    "torch.fx.graph.Graph._python_code": trusted_generator,
    "torch._TorchCompileWrapper.__init__": trusted_backend,
    "torch._dynamo.symbolic_convert.InstructionTranslatorBase.load_builtin_from_argval": own_builtins,
    "torch._guards.Source.get_value": exact_source,
    "torch._guards.ChainedSource.get_value": exact_source,
    "torch._inductor.graph.GraphLowering.call_function": clean_texts,
    "torch._higher_order_ops.flex_attention.FlexAttentionHOP.__call__": plain_options,
    "torch._higher_order_ops.flex_attention.FlexAttentionBackwardHOP.__call__": plain_options,
}
