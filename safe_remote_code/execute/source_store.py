"""The verified text on disk, for people and tools to read. Nothing is ever executed from there.

`inspect.getsource`, tracebacks, `torch.jit.script` and `save_pretrained` want a real `__file__`.
Files lie in a content-addressed folder, written to a temporary name and renamed, so that ranks and
processes that start together may lose the race harmlessly. What lies there already is compared, and
replaced if it differs.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import os
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
        *parents, name = file.path.split("/")
        lines = io.StringIO(file.text).readlines()  # as Python counts them: `splitlines` ends one at a form feed
        # A modification time of None: linecache never re-reads the file, whatever happens to it.
        linecache.cache[str(path)] = (len(file.text), None, lines, str(path))
        try:
            place = _opened(folder, parents)
            try:
                if not _is(place, name, file.data):
                    _replace(place, name, file.data)
            finally:
                os.close(place)
        except OSError:
            continue


def _opened(folder: Path, parents: list[str]) -> int:
    """A descriptor of the folder; a link on the way, which a confined program may have put there, is not followed.

    Raises:
        OSError: it cannot be had.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for part in parents:
        above = place
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=above)
            place = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
        finally:
            os.close(above)
    return place


def _is(place: int, name: str, data: bytes) -> bool:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)
    except OSError:
        return False
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(len(data) + 1) == data


def _replace(place: int, name: str, data: bytes) -> None:
    temporary = f".{os.urandom(8).hex()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=place)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        os.replace(temporary, name, src_dir_fd=place, dst_dir_fd=place)
    except BaseException:
        os.unlink(temporary, dir_fd=place)
        raise
