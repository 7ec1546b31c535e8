"""Readers in native code that open a path of the caller, of which no audit event tells.

Library code on behalf of remote code calls them too (`BertTokenizer(vocab=path)`, a shard of an index), so it is the
class that asks: before the object is handed out, the remote code on the stack must be allowed to read the path.
Whatever else calls them is not asked anything.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import Any, Final

from .context import exact_path
from .ownership import context_on_stack

#: Class, and how many of its first arguments may be paths.
_CONSTRUCTORS: Final = {
    "tokenizers.models.BPE": 2, "tokenizers.models.WordPiece": 1, "tokenizers.models.WordLevel": 1,
    "safetensors.safe_open": 1,
}  # fmt: skip
_KEYWORDS: Final = ("vocab", "merges", "filename", "path")
#: Static methods that take a path first.
_MAKERS: Final = ("tokenizers.Tokenizer.from_file",)
_watched: Final[set[str]] = set()
_CLASSES: Final[set[type]] = set()


def watch_native_readers() -> None:
    """Let the native readers of the libraries that are loaded ask."""
    for dotted, count in _CONSTRUCTORS.items():
        module, _, name = dotted.rpartition(".")
        cls = getattr(sys.modules.get(module), name, None)
        if isinstance(cls, type) and dotted not in _watched:
            _watched.add(dotted)
            _CLASSES.add(cls)
            type.__setattr__(cls, "__init__", _asking(cls, count))
    for dotted in _MAKERS:
        place, _, name = dotted.rpartition(".")
        module, _, kind = place.rpartition(".")
        cls = getattr(sys.modules.get(module), kind, None)
        if isinstance(cls, type) and dotted not in _watched:
            _watched.add(dotted)
            type.__setattr__(cls, name, staticmethod(_asking_first(cls, getattr(cls, name))))


def reads_when_made(cls: type) -> bool:
    """Whether `__new__` of `cls` alone, without the question of its `__init__`, would read."""
    return any(issubclass(cls, known) for known in _CLASSES)


def _asking(cls: type, count: int) -> Any:
    def __init__(self: object, *arguments: object, **keywords: object) -> None:
        for value in (*arguments[:count], *(keywords.get(name) for name in _KEYWORDS)):
            if isinstance(value, str | os.PathLike):
                _check(cls, exact_path(value), sys._getframe(1))

    return __init__


def _asking_first(cls: type, real: Any) -> Any:
    @functools.wraps(real)
    def make(path: object, *arguments: object, **keywords: object) -> object:
        text = exact_path(path)
        _check(cls, text, sys._getframe(1))
        return real(text, *arguments, **keywords)

    return make


def _check(cls: type, path: str, frame: Any) -> None:
    context = context_on_stack(frame)
    if context is not None and not context.may_read(os.path.realpath(path)):
        what = f"{cls.__module__}.{cls.__qualname__}: {path!r} is not inside the model's own folder"
        raise context.violation(what, "file-read", cls.__qualname__)
