"""What may be said to `torch.compile`: settings that choose between kernels, none that name programs, files or code.

Guarantee: neither remote code, nor a library with settings that a remote object may have named, hands others to the
compiler, a deputy that the monitor trusts with files and programs; and nobody hands it a function of remote code. It
is asked where torch makes a compiler of its settings, whoever called it: many methods of libraries do.
"""

from __future__ import annotations

import functools
import inspect
import sys
from types import MethodType
from typing import TYPE_CHECKING, Any, Final

from ...errors import GuardViolationError
from ...refusal_log import LOG
from ..ownership import context_on_stack, descends_from_own, owns
from ..refusal import refuse

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_BACKENDS: Final = frozenset(["inductor", "eager", "aot_eager", "cudagraphs"])
_OPTIONS: Final = frozenset(
    ["max_autotune", "max_autotune_gemm", "max_autotune_pointwise", "coordinate_descent_tuning", "epilogue_fusion",
     "shape_padding", "triton.cudagraphs", "triton.cudagraph_trees"]
)  # fmt: skip
#: What `torch.compile` takes out of its options, or says to others than the backend: for the user alone.
_OF_THE_USER: Final = ("guard_filter_fn", "use_aoti", "name", "shapes_spec")
#: Compiles as a configuration says, which may be that of a remote object.
_LIBRARY: Final = "transformers."
#: Where torch hands settings on to itself.
_PASSED_ON: Final = frozenset(
    [("torch", "compile"), ("torch", "compile.<locals>.fn"), ("torch", "_TorchCompileAOTInductorWrapper.__init__"),
     ("torch.nn.modules.module", "Module.compile")]
)  # fmt: skip


def refused_setting(backend: object, options: object) -> str | None:
    """What of these settings the compiler may not be told, or None."""
    if backend is not None and (type(backend) is not str or backend not in _BACKENDS):
        return f"backend {backend!r:.60}"
    if options is None:
        return None
    names = [key if type(key) is str else "?" for key in options] if type(options) is dict else ["?"]
    if not _OPTIONS.issuperset(names):
        return f"options {names!r:.60}"
    unlike = [name for name, value in options.items() if type(value) not in (bool, int)]  # type: ignore[attr-defined]
    return f"options {unlike!r:.60} with values that are no numbers" if unlike else None


def asking(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    """`__init__` of what `torch.compile` makes of its settings: harmless ones, where remote code may have said them."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def __init__(self: Any, *arguments: Any, **keywords: Any) -> None:
        bound = signature.bind(self, *arguments, **keywords)
        said = bound.arguments
        passed_on, caller = _callers(sys._getframe(1))
        backend, mode, beside = said.get("backend"), said["mode"], _said_beside(passed_on)
        options = dict(said["options"]) if type(said["options"]) is dict else said["options"]
        if of_remote_code([backend, mode, options, beside]):
            refuse("a function, or an object, of remote code in the settings of torch.compile")
        if _may_be_of_remote_code(passed_on, caller):
            refused = refused_setting(backend, options)
            if type(mode) not in (str, type(None)) or any(beside.values()):
                refused = f"settings {[mode, *beside]!r:.60}"
            if refused is not None:
                what = f"remote code, or a model of transformers, would compile with {refused}"
                raise LOG.record(GuardViolationError(what, remedy="call torch.compile on the model yourself"))
            said["options"] = options
        method(*bound.args, **bound.kwargs)

    return __init__


def of_remote_code(value: object) -> bool:
    """Whether `value` would call remote code: its function, an object of its class, or what holds one of these."""
    if owns(value) or descends_from_own(type(value)):
        return True
    if isinstance(value, MethodType):
        return of_remote_code(value.__self__)
    if isinstance(value, functools.partial):
        return of_remote_code([value.func, value.args, value.keywords])
    if isinstance(value, dict):
        return any(map(of_remote_code, [*value, *value.values()]))
    return isinstance(value, list | tuple | set | frozenset) and any(map(of_remote_code, value))


def _callers(frame: FrameType | None) -> tuple[list[FrameType], FrameType | None]:
    """The frames in which torch hands settings on to itself, and the one that called the first of them."""
    passed_on = []
    while frame is not None and (_place(frame), frame.f_code.co_qualname) in _PASSED_ON:
        passed_on.append(frame)
        frame = frame.f_back
    return passed_on, frame


def _said_beside(passed_on: list[FrameType]) -> dict[str, object]:
    """What `torch.compile` was told that its backend is not."""
    names = next((frame.f_locals for frame in passed_on if frame.f_code.co_name == "compile"), {})
    return {name: names[name] for name in _OF_THE_USER if names.get(name) is not None}


def _may_be_of_remote_code(passed_on: list[FrameType], caller: FrameType | None) -> bool:
    if caller is None:
        return False
    place = _place(caller)
    by_method = any(frame.f_code.co_qualname == "Module.compile" for frame in passed_on)
    if place.startswith("torch.") and "compile" in caller.f_code.co_names and not by_method:
        return False  # flex attention and control flow compile what they were given, with a backend of torch's own
    return place.startswith(_LIBRARY) or context_on_stack(caller) is not None


def _place(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))


#: What is put before which method.
METHODS: Final = {
    "torch._TorchCompileInductorWrapper.__init__": asking,
    "torch._TorchCompileWrapper.__init__": asking,
}
