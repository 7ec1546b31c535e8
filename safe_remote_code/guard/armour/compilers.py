"""What torch's compilers evaluate and write for remote code: paths to values, builtins, kernels, expressions.

`torch._dynamo` looks the builtins of every frame up in those of the outermost one, and evaluates the text of a path to
a value. Inductor writes messages and options into kernels. sympy executes the text of an expression. Who is on the
stack then may be nobody but the user, so each of these is watched whoever asks.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from ..ownership import context_on_stack, descends_from_own
from ..receivers import loaded_classes
from ..refusal import refuse
from .honesty import is_honest_member

if TYPE_CHECKING:
    from collections.abc import Callable

_UNQUOTABLE: Final = re.compile(r'["\\\x00-\x1f\x7f]')
_UNNAMEABLE: Final = re.compile(r"\W", re.ASCII)
_TRACED: Final = (
    "torch.SymInt", "torch.SymFloat", "torch.SymBool", "torch.Tensor", "torch.fx.proxy.Proxy", "torch.fx.node.Node",
    "sympy.core.basic.Basic",
)  # fmt: skip
_COUNTING: Final = frozenset(["abs", "bool", "float", "int", "max", "min", "pow", "round"])
_ARITHMETIC: Final = re.compile(r"(?!.*(__|\.[^\W\d]))[\w\s.+\-*/%(),<>=!&|~^]*", re.ASCII)


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


def commented(module: Any, real: Callable[..., Any]) -> Callable[..., Any]:
    """`get_kernel_metadata` of Inductor, whose texts stand as comments in the module that it executes."""

    @functools.wraps(real)
    def get_kernel_metadata(node_schedule: Any, wrapper: Any) -> tuple[str, ...]:
        return tuple(_as_comment(text, wrapper.comment) for text in real(node_schedule, wrapper))

    return get_kernel_metadata


def named(module: Any, real: Callable[..., Any]) -> Callable[..., Any]:
    """`get_fused_kernel_name` of Inductor, by which a function in C++ or Triton is called."""

    @functools.wraps(real)
    def get_fused_kernel_name(*arguments: Any, **keywords: Any) -> str:
        return _UNNAMEABLE.sub("_", str.__str__(real(*arguments, **keywords)))

    return get_fused_kernel_name


def comment_lines(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    """`make_comment` of Inductor's writers."""

    @functools.wraps(method)
    def make_comment(self: Any, line: Any) -> Any:
        return method(self, _as_comment(line, self.comment) if isinstance(line, str) else line)

    return make_comment


def _as_comment(text: str, mark: str) -> str:
    """`text` with `mark` before each of its lines, none of which goes on in the next (`\\` in C++)."""
    lines = (line.rstrip("\\ \t") for line in str.__str__(text).splitlines())
    return "\n".join(line if not line or line.lstrip().startswith(mark) else f"{mark} {line}" for line in lines)


def exact_source(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    """`get_value` of the compiler's sources, which evaluates the text of a path to a value: of exact names and keys."""
    source: Any = vars(sys.modules[cls.__module__])["Source"]

    def check(value: Any) -> None:
        for part in vars(value).values():
            if isinstance(part, source):
                check(part)
            elif (isinstance(part, str) and type(part) is not str) or (
                descends_from_own(type(part)) and not is_honest_member(part)
            ):
                refuse(f"an instance of {type(part).__qualname__} in the path to a value")

    @functools.wraps(method)
    def get_value(self: Any, *arguments: Any, **keywords: Any) -> Any:
        check(self)
        return method(self, *arguments, **keywords)

    return get_value


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


#: What is put before which function, and before which method.
FUNCTIONS: Final = {
    "torch._inductor.utils.get_fused_kernel_name": named,
    "torch._inductor.utils.get_kernel_metadata": commented,
    "sympy.parsing.sympy_parser.parse_expr": only_arithmetic,
}
METHODS: Final = {
    "torch._dynamo.symbolic_convert.InstructionTranslatorBase.load_builtin_from_argval": own_builtins,
    "torch._guards.Source.get_value": exact_source,
    "torch._guards.ChainedSource.get_value": exact_source,
    "torch._inductor.graph.GraphLowering.call_function": clean_texts,
    "torch._inductor.codegen.wrapper.PythonWrapperCodegen.make_comment": comment_lines,
    "torch._higher_order_ops.flex_attention.FlexAttentionHOP.__call__": plain_options,
    "torch._higher_order_ops.flex_attention.FlexAttentionBackwardHOP.__call__": plain_options,
}
