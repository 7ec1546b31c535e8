"""What may be said to `torch.compile`: settings that choose between kernels, none that name programs, files or code.

Guarantee: neither remote code that calls `torch.compile`, nor `generate` with a configuration that remote code
touched, hands other settings to the compiler, a deputy that
the monitor trusts with files and programs.
"""

from __future__ import annotations

import functools
import sys
from typing import Any, Final

from ...errors import GuardViolationError
from ...refusal_log import LOG

_BACKENDS: Final = (None, "inductor", "eager", "aot_eager", "cudagraphs")
_OPTIONS: Final = frozenset(
    ["max_autotune", "max_autotune_gemm", "max_autotune_pointwise", "coordinate_descent_tuning", "epilogue_fusion",
     "shape_padding", "triton.cudagraphs", "triton.cudagraph_trees"]
)  # fmt: skip
_FIELDS: Final = frozenset(["fullgraph", "dynamic", "backend", "mode", "options"])


def refused_setting(backend: object, options: object) -> str | None:
    """What of these settings the compiler may not be told, or None."""
    if backend not in _BACKENDS or (backend is not None and type(backend) is not str):
        return f"backend {backend!r:.60}"
    if options is None:
        return None
    names = [key if type(key) is str else "?" for key in options] if type(options) is dict else ["?"]
    return None if _OPTIONS.issuperset(names) else f"options {names!r:.60}"


def watch_compiled_calls() -> None:
    """Have `PreTrainedModel.get_compiled_call`, by which `generate` compiles, check what it is told."""
    base: Any = getattr(sys.modules.get("transformers.modeling_utils"), "PreTrainedModel", None)
    original = getattr(base, "get_compiled_call", None)
    if original is None or getattr(original, "_checked", False):
        return

    @functools.wraps(original)
    def get_compiled_call(self: Any, compile_config: Any) -> object:
        default = getattr(self, "_default_compile_config", None)
        chosen = compile_config or (default() if default is not None else None)
        return original(self, chosen if chosen is None else _plain(chosen))

    get_compiled_call._checked = True  # type: ignore[attr-defined]  # ours
    type.__setattr__(base, "get_compiled_call", get_compiled_call)


def _plain(config: Any) -> object:
    """A `CompileConfig` with what `config` says now, all of it harmless: its class and `to_dict` may be remote code."""
    said: Any = config.to_dict()
    settings: dict[Any, Any] = {**said} if isinstance(said, dict) else {"": None}
    refused = refused_setting(settings.get("backend"), settings.get("options"))
    if refused is None and not _FIELDS.issuperset(settings):
        refused = f"settings {sorted(map(str, settings))!r:.60}"
    if refused is not None:
        raise LOG.record(
            GuardViolationError(
                f"generate would compile with {refused}", remedy="call torch.compile on the model yourself"
            )
        )
    if settings.get("options") is not None:
        settings["options"] = dict(settings["options"])
    plain: object = sys.modules["transformers.generation.configuration_utils"].CompileConfig(**settings)
    return plain
