"""Small repositories on disk, and the question whether a class of theirs came through the guard."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Mapping
from pathlib import Path

from hub.tiny import tiny_repository

PLAIN = "class Thing:\n    mark = {mark!r}\n"
"""A module that needs neither torch nor transformers."""


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write `files` below `folder`, and give it back."""
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def tiny(folder: Path, mark: str = "A") -> Path:
    """The tiny model of the Hub tests, as a local directory."""
    return write(folder, tiny_repository(mark))


def is_guarded(kind: type) -> bool:
    """Whether the module of `kind` runs on the builtins of the guard."""
    namespace = vars(sys.modules[kind.__module__])
    held = namespace["__builtins__"]
    return kind.__module__.startswith("transformers_modules.") and held is not builtins and held is not vars(builtins)
