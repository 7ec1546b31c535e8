"""Format strings: what a field may walk to, in remote code's own calls and in those that libraries make for it.

Guarantee: a text is parsed before it is formatted (CVE-2023-41039; nested specifications, PEP 3101, are followed),
and no field of it reads an attribute that code may not read. `str.format` cannot be asked itself, so the methods of
libraries that format a text of their caller are.
"""

from __future__ import annotations

import functools
import string
import sys
from typing import TYPE_CHECKING, Any, Final

from ..capability import shipped_capabilities
from ..grammar import CHECKED, refused_attribute
from .ownership import context_on_stack, descends_from_own, owns_class
from .refusal import refuse

if TYPE_CHECKING:
    from collections.abc import Callable

#: They format the text at this position, or of this name, whoever calls them.
OF_ARGUMENT: Final = {
    "tqdm.std.tqdm.format_meter": (9, "bar_format"),
    "torch.nn.modules.rnn.RNNBase.check_hidden_size": (3, "msg"),
    "transformers.pipelines.zero_shot_classification.ZeroShotClassificationArgumentHandler.__call__":
        (3, "hypothesis_template"),
    "transformers.pipelines.zero_shot_image_classification.ZeroShotImageClassificationPipeline.preprocess":
        (3, "hypothesis_template"),
    "transformers.pipelines.zero_shot_audio_classification.ZeroShotAudioClassificationPipeline.preprocess":
        (3, "hypothesis_template"),
    "transformers.models.whisper.generation_whisper.WhisperGenerationMixin._maybe_warn_unused_inputs":
        (5, "total_input_frames"),
}  # fmt: skip
#: So do these functions.
OF_FUNCTION: Final = {"torch.cuda.nvtx.range": (0, "msg")}
#: They format what their receiver holds under this name.
OF_RECEIVER: Final = {
    "collections.UserString.format": "data", "collections.UserString.format_map": "data",
    "logging.StrFormatStyle._format": "_fmt",
}  # fmt: skip


def check_format(text: str, depth: int = 0) -> None:
    """Refuse a format string that would walk to an attribute which code may not read.

    Raises:
        GuardViolationError: it would, or is nested deeper than anybody writes.
    """
    if depth > 4:
        refuse("format string nested too deep")
    for _, field_name, specification, _ in string.Formatter().parse(text):
        for part in _attributes(field_name or ""):
            if refused_attribute(part) or part in CHECKED or part in shipped_capabilities().attributes:
                refuse(f"format string reads attribute {part!r}")
        if specification:
            check_format(specification, depth + 1)


def checked_format(function: Callable[..., str], text: str | None) -> Callable[..., str]:
    """A bound (or, with `text` None, unbound) `str.format` that checks its format string first.

    A closure, not an object: remote code holds it, and must find nothing on it.
    """

    def checked(*arguments: object, **keywords: object) -> str:
        if text is not None:
            check_format(text)
            return function(*arguments, **keywords)
        if not arguments or not isinstance(arguments[0], str):
            raise TypeError("descriptor 'format' requires a 'str' object")
        exact = str.__str__(arguments[0])
        check_format(exact)
        return function(exact, *arguments[1:], **keywords)

    return checked


def checking_argument(cls: type, method: Any, position: int, keyword: str) -> Any:
    """`method` of `cls` with the text at `position`, or named `keyword`, made exact and checked."""
    function = getattr(method, "__func__", method)

    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        given = list(arguments)
        if len(given) > position:
            given[position] = _checked(given[position])
        elif keyword in keywords:
            keywords[keyword] = _checked(keywords[keyword])
        return function(*given, **keywords)

    return staticmethod(call) if isinstance(method, staticmethod) else call


def checking_receiver(cls: type, method: Any, attribute: str) -> Any:
    """`method` of `cls` for remote code: of a text that is one, held by an object of no class of its own."""

    @functools.wraps(method)
    def call(self: Any, *arguments: Any, **keywords: Any) -> Any:
        if context_on_stack(sys._getframe(1)) is not None:
            text = getattr(self, attribute)
            if owns_class(type(self)) or type(text) is not str:
                refuse(f"{method.__qualname__} of a {type(self).__qualname__} that may say something else next time")
            check_format(text)
        return method(self, *arguments, **keywords)

    return call


def _checked(text: Any) -> Any:
    if not isinstance(text, str):
        if descends_from_own(type(text)):
            refuse(f"an instance of {type(text).__qualname__} in the place of a text")
        return text
    exact = str.__str__(text)
    check_format(exact)
    return exact


def _attributes(field_name: str) -> list[str]:
    from _string import formatter_field_name_split  # what string.Formatter itself uses

    return [str(part) for is_attribute, part in formatter_field_name_split(field_name)[1] if is_attribute]
