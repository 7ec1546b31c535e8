"""Readers that open a path of the caller or of their object: in native code, of which no audit event tells, or later.

Library code on behalf of remote code calls them too (`BertTokenizer(vocab=path)`, a shard of an index), so it is the
class that asks: before the object is handed out, the remote code on the stack must be allowed to read the path.
Whatever else calls them is not asked anything.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..context import exact_path
from ..ownership import context_on_stack
from .late import loaded

if TYPE_CHECKING:
    from collections.abc import Callable

#: Class, and how many of its first arguments may be paths.
_CONSTRUCTORS: Final = {
    "tokenizers.models.BPE": 2, "tokenizers.models.WordPiece": 1, "tokenizers.models.WordLevel": 1,
    "safetensors.safe_open": 1, "PIL.ImageFont.FreeTypeFont": 1,
}  # fmt: skip
_KEYWORDS: Final = frozenset(["vocab", "merges", "filename", "path", "font"])
#: Methods that take a path first.
_METHODS: Final = (
    "sentencepiece.SentencePieceProcessor.LoadFromFile", "sentencepiece.SentencePieceNormalizer.LoadFromFile",
)  # fmt: skip
#: Static methods that take a path first.
_MAKERS: Final = ("tokenizers.Tokenizer.from_file",)
#: Methods whose first argument, where it is a text, is a path or an address.
_PIPELINES: Final = (
    "transformers.pipelines.automatic_speech_recognition.AutomaticSpeechRecognitionPipeline",
    "transformers.pipelines.audio_classification.AudioClassificationPipeline",
    "transformers.pipelines.zero_shot_audio_classification.ZeroShotAudioClassificationPipeline",
    "transformers.pipelines.video_classification.VideoClassificationPipeline",
)
#: A picture is read when it is first looked at, some of them from the file that it names then.
_PICTURES: Final = "PIL.ImageFile.ImageFile"
_watched: Final[set[str]] = set()
_CLASSES: Final[set[type]] = set()


def watch_native_readers() -> None:
    """Let the native readers of the libraries that are loaded ask."""
    for dotted, count in _CONSTRUCTORS.items():
        cls = _unwatched(dotted)
        if cls is not None:
            _CLASSES.add(cls)
            type.__setattr__(cls, "__init__", _asking(cls, range(1, 1 + count), cls.__dict__.get("__init__")))
    for dotted in _METHODS:
        place, _, name = dotted.rpartition(".")
        cls = _unwatched(place)
        if cls is not None and name in cls.__dict__:
            type.__setattr__(cls, name, _asking(cls, range(1, 2), cls.__dict__[name]))
    for dotted in _MAKERS:
        place, _, name = dotted.rpartition(".")
        cls = _unwatched(place)
        if cls is not None:
            type.__setattr__(cls, name, staticmethod(_asking(cls, range(1), getattr(cls, name))))
    for dotted in _PIPELINES:
        cls = _unwatched(dotted)
        if cls is not None and "preprocess" in cls.__dict__:
            type.__setattr__(cls, "preprocess", _asking_input(cls, cls.__dict__["preprocess"]))
    if "PIL.Image" in sys.modules:
        importlib.import_module(_PICTURES.rpartition(".")[0])  # else it is loaded with the first picture, unwatched
    cls = _unwatched(_PICTURES)
    if cls is not None:
        type.__setattr__(cls, "load", _forgetting_file(cls.__dict__["load"]))


def _unwatched(dotted: str) -> Any:
    """The class, if it is loaded and has not been asked for before."""
    module, _, name = dotted.rpartition(".")
    cls = getattr(loaded(module), name, None)
    if not isinstance(cls, type) or dotted in _watched:
        return None
    _watched.add(dotted)
    return cls


def reads_when_made(cls: type) -> bool:
    """Whether `__new__` of `cls` alone, without the question of its `__init__`, would read."""
    return any(issubclass(cls, known) for known in _CLASSES)


def opens_when_made(cls: type) -> bool:
    """Whether making an instance of `cls` opens a path that it is given: native readers, and tokenizers."""
    return reads_when_made(cls) or any(base.__name__ == "PreTrainedTokenizerBase" for base in cls.__mro__)


def _asking(cls: type, places: range, real: Any) -> Any:
    """`real`, a function or None (`__new__` has read already), that asks about its arguments at `places`."""

    def ask(*arguments: object, **keywords: object) -> object:
        frame = sys._getframe(1)
        given = [_asked(cls, value, frame) if at in places else value for at, value in enumerate(arguments)]
        named = {key: _asked(cls, value, frame) if key in _KEYWORDS else value for key, value in keywords.items()}
        return None if real is None else real(*given, **named)

    return ask if real is None else functools.wraps(real)(ask)


def _asked(cls: type, value: object, frame: Any) -> object:
    if not isinstance(value, str | bytes | os.PathLike):
        return value
    text = os.fsdecode(bytes(value)) if isinstance(value, bytes) else exact_path(value)
    _check(cls, text, frame)
    return text


def _asking_input(cls: type, real: Any) -> Any:
    @functools.wraps(real)
    def preprocess(self: object, inputs: object, *arguments: object, **keywords: object) -> object:
        if isinstance(inputs, str):
            inputs = exact_path(inputs)
            _check(cls, inputs, sys._getframe(1))
        return real(self, inputs, *arguments, **keywords)

    return preprocess


def _forgetting_file(real: Any) -> Any:
    """For remote code a picture is read from what was opened: the file that it names may be another one by now."""

    @functools.wraps(real)
    def load(self: Any) -> object:
        if context_on_stack(sys._getframe(1)) is None or not self.filename:
            return real(self)
        named, self.filename = self.filename, ""
        try:
            if self.filename:
                raise TypeError(f"{type(self).__name__}.filename cannot be set")
            return real(self)
        finally:
            self.filename = named

    return load


def _where_it_is(_module: Any, real: Callable[..., bytes]) -> Callable[..., bytes]:
    """tiktoken's reader; for remote code not by its cache, which copies files to a folder that others may write to."""

    @functools.wraps(real)
    def read_file_cached(blobpath: str, expected_hash: str | None = None) -> bytes:
        frame = sys._getframe(1)
        if context_on_stack(frame) is None or "://" in blobpath:
            return real(blobpath, expected_hash)
        path = exact_path(blobpath)
        _check(real, path, frame)
        contents = Path(path).read_bytes()
        if expected_hash and hashlib.sha256(contents).hexdigest() != expected_hash:
            raise ValueError(
                f"Hash mismatch for data downloaded from {path} (expected {expected_hash}). "
                f"This may indicate a corrupted download. Please try again."
            )
        return contents

    return read_file_cached


#: What is put before which function.
FUNCTIONS: Final = {"tiktoken.load.read_file_cached": _where_it_is}


def _check(reader: Any, path: str, frame: Any) -> None:
    context = context_on_stack(frame)
    if context is not None and not context.may_read(os.path.realpath(path)):
        what = f"{reader.__module__}.{reader.__qualname__}: {path!r} is not inside the model's own folder"
        raise context.violation(what, "file-read", reader.__qualname__)
