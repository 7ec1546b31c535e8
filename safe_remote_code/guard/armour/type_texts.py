"""Text of types that TorchScript reads from source: evaluated under rules, whoever has it compiled.

Its front end takes the text of annotations, `torch.jit.annotate` and `# type:` comments, looks names up in the
module, in `typing` and in the real builtins, and subscripts what it finds. A `__class_getitem__` of remote code
would be handed whatever stands between the brackets. So these are walked instead: names of types, attributes,
subscripts, and nothing else.
"""

from __future__ import annotations

import builtins
import operator
import typing
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ...capability import shipped_capabilities
from ...grammar import CHECKED, refused_attribute
from ..refusal import refuse
from ..type_expressions import TypeExpressions

if TYPE_CHECKING:
    from collections.abc import Callable

    Lookup = Callable[[str], object]

_BUILTIN_TYPES: Final = frozenset(
    ["None", "bool", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "set", "str", "tuple"]
)


def evaluated(text: str, lookup: Lookup) -> object:
    """The type that `text` names; `lookup` finds the names.

    Raises:
        SyntaxError: it is no expression.
        GuardViolationError: it holds more than names, attributes and subscripts, or names something that is no type
            and not the code's own.
    """
    return TypeExpressions(
        name=lambda name: _named(name, lookup), attribute=_attribute, item=operator.getitem, either=operator.or_
    ).value(text)


def _attribute(value: object, name: str) -> object:
    if refused_attribute(name) or name in CHECKED or name in shipped_capabilities().attributes:
        refuse(f"{name!r} in the text of a type")
    return getattr(value, name)


def _named(name: str, lookup: Lookup) -> object:
    value = lookup(name)
    # What the module does not bind is looked up in `typing`, with all that it imports, and in the builtins.
    of_typing = vars(typing).get(name) is value and value is not typing.Any and type(value).__module__ != "typing"
    of_python = vars(builtins).get(name) is value and name not in _BUILTIN_TYPES
    if name.startswith("__") or (value is not None and (of_typing or of_python)):
        refuse(f"{name!r} in the text of a type")
    return value


def evaluated_under_rules(module: Any, real: Callable[..., Any]) -> Callable[..., Any]:
    """`torch.jit.annotations._eval_no_call`, of a `# type:` comment."""

    def _eval_no_call(stmt: str, glob: object, loc: Any) -> object:
        return evaluated(stmt, loc.__getitem__)

    return _eval_no_call


def resolved_under_rules(module: Any, real: Callable[..., Any]) -> Callable[..., Any]:
    """`torch._jit_internal.createResolutionCallbackFromEnv`, which resolves names for the compiler."""

    def createResolutionCallbackFromEnv(lookup_base: Any) -> Callable[[str], object]:  # torch's name
        plain = real(lookup_base)

        def resolve(expression: str) -> object:
            if "[" not in expression:
                return plain(expression)  # for the compiler itself
            try:
                return evaluated(expression, lambda name: getattr(lookup_base, name))
            except (SyntaxError, AttributeError, TypeError):
                return None  # as torch: then its compiler reads the text by itself

        return resolve

    return createResolutionCallbackFromEnv


def refused_block(module: Any, real: Callable[..., Any]) -> Callable[..., Any]:
    """`with torch.jit._IgnoreContextManager(...)` in scripted source: its text is executed by `torch.jit.frontend`."""

    def build_ignore_context_manager(*_: object) -> NoReturn:
        refuse("torch.jit._IgnoreContextManager, which executes text of scripted source")

    return build_ignore_context_manager


#: What is put before which function.
FUNCTIONS: Final = {
    "torch.jit.annotations._eval_no_call": evaluated_under_rules,
    "torch._jit_internal.createResolutionCallbackFromEnv": resolved_under_rules,
    "torch.jit.frontend.build_ignore_context_manager": refused_block,
}
