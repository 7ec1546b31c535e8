"""Settings of the whole process that decide what is printed, and when memory is freed: remote code's have no effect.

Real code sets them for its user's convenience (`warnings.filterwarnings("ignore")` at its top); they would hide, or
turn into errors, what every other library of the process says. Filters of warnings hold inside the code's own
`warnings.catch_warnings()`. Settings that decide what is computed (seeds, grad mode, the default dtype) do take effect,
for results must be the native ones.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOGGING: Final = "transformers.utils.logging"
_WITHOUT_EFFECT: Final = (
    "gc.enable", "gc.disable", "torch.set_printoptions", "torch._tensor_str.set_printoptions",
    "numpy.set_printoptions",
    *(f"{_LOGGING}.set_verbosity{level}" for level in ("", "_error", "_warning", "_info", "_debug")),
    f"{_LOGGING}.enable_progress_bar", f"{_LOGGING}.disable_progress_bar",
)  # fmt: skip
_CATCHING: Final = threading.local()


def _without_effect(*_arguments: object, **_keywords: object) -> None:
    """In the place of a setting of the whole process."""


@contextlib.contextmanager
def _catch_warnings(*, record: bool = False) -> Iterator[object]:
    """Without `module`, whose attributes it would swap; the real object holds the real module."""
    _CATCHING.depth = depth = getattr(_CATCHING, "depth", 0) + 1
    try:
        with warnings.catch_warnings(record=record) as log:
            yield log
    finally:
        _CATCHING.depth = depth - 1


def _where_caught(real: Callable[..., None]) -> Callable[..., None]:
    def set_filter(*arguments: Any, **keywords: Any) -> None:
        if getattr(_CATCHING, "depth", 0):
            real(*arguments, **keywords)

    return set_filter


def replacements() -> dict[str, object]:
    """Settings by dotted name."""
    return {
        **dict.fromkeys(_WITHOUT_EFFECT, _without_effect),
        "warnings.catch_warnings": _catch_warnings,
        "warnings.filterwarnings": _where_caught(warnings.filterwarnings),
        "warnings.simplefilter": _where_caught(warnings.simplefilter),
    }
