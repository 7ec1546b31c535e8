"""Constructors in native code that open a path of the caller, of which no audit event tells.

Library code on behalf of remote code calls them too (`BertTokenizer(vocab=path)`), so it is the class that asks:
before the object is handed out, the remote code on the stack must be allowed to read the path. Whatever else calls
them is not asked anything.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

from .context import exact_path
from .ownership import context_of_globals, context_of_thread

if TYPE_CHECKING:
    from .context import PackageContext

#: Class, and how many of its first arguments may be paths.
_CONSTRUCTORS: Final = {
    "tokenizers.models.BPE": 2, "tokenizers.models.WordPiece": 1, "tokenizers.models.WordLevel": 1,
}  # fmt: skip
_KEYWORDS: Final = ("vocab", "merges")
_watched: Final[set[type]] = set()


def watch_native_constructors() -> None:
    """Let the constructors of the libraries that are loaded ask."""
    for dotted, count in _CONSTRUCTORS.items():
        module, _, name = dotted.rpartition(".")
        cls = getattr(sys.modules.get(module), name, None)
        if isinstance(cls, type) and cls not in _watched:
            _watched.add(cls)
            type.__setattr__(cls, "__init__", _asking(cls, count))


def _asking(cls: type, count: int) -> Any:
    def __init__(self: object, *arguments: object, **keywords: object) -> None:
        for value in (*arguments[:count], *(keywords.get(name) for name in _KEYWORDS)):
            if isinstance(value, str | os.PathLike):
                _check(cls, exact_path(value))

    return __init__


def _check(cls: type, path: str) -> None:
    context = _context_on_stack()
    if context is not None and not context.may_read(os.path.realpath(path)):
        what = f"{cls.__module__}.{cls.__qualname__}: {path!r} is not inside the model's own folder"
        raise context.violation(what, "file-read", cls.__qualname__)


def _context_on_stack() -> PackageContext | None:
    """The package of the nearest remote code among the callers, or of the thread."""
    frame = sys._getframe(2)
    while frame is not None:
        if (context := context_of_globals(id(frame.f_globals))) is not None:
            return context
        frame = frame.f_back  # type: ignore[assignment]  # None ends the loop
    return context_of_thread()
