"""The verified text on disk, for people and tools to read. Nothing is ever executed from there.

`inspect.getsource`, tracebacks, `torch.jit.script` and `save_pretrained` want a real `__file__`.
Files lie in a content-addressed folder, written to a temporary name and renamed, so that ranks and
processes that start together may lose the race harmlessly. What lies there already is compared, and
replaced if it differs.
"""

from __future__ import annotations

import linecache
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..places import source_folder

if TYPE_CHECKING:
    from ..snapshot import Snapshot


def store_folder(digest: str) -> Path:
    """Where the files of the package `digest` lie: `$XDG_CACHE_HOME/safe-remote-code/sources/<digest>`."""
    return source_folder(digest, os.environ)


def lay_out(snapshot: Snapshot, folder: Path) -> None:
    """Write the files of `snapshot` below `folder` and register their text with `linecache`.

    A read-only or full disk is no reason not to load: the text is in `linecache` all the same.
    """
    for file in snapshot.files:
        path = folder / file.path
        lines = file.text.splitlines(keepends=True)
        # A modification time of None: linecache never re-reads the file, whatever happens to it.
        linecache.cache[str(path)] = (len(file.text), None, lines, str(path))
        try:
            if not _is(path, file.data):
                _replace(path, file.data)
        except OSError:
            continue


def _is(path: Path, data: bytes) -> bool:
    try:
        return not path.is_symlink() and path.read_bytes() == data
    except FileNotFoundError:
        return False


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
