"""A folder that confined code wrote to, deleted whatever is in it.

Rules: no link is followed; depth costs no recursion and no long path, because folders are moved up before they are
emptied; nothing that lies there raises.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: str | os.PathLike[str], last: str = "") -> None:
    """Delete the folder `path`; its file `last` after everything else. What cannot be deleted stays."""
    try:
        root = os.open(path, _FOLDER)
    except OSError:
        return
    try:
        _empty(root, last)
        if last:
            with contextlib.suppress(OSError):
                os.unlink(last, dir_fd=root)
    finally:
        os.close(root)
    with contextlib.suppress(OSError):
        os.rmdir(path)


def _empty(root: int, last: str) -> None:
    waiting = _cleared(root, root, last)
    while waiting:
        name = waiting.pop()
        with contextlib.suppress(OSError):
            inner = os.open(name, _FOLDER, dir_fd=root)
            try:
                waiting += _cleared(root, inner, "")
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=root)


def _cleared(root: int, folder: int, last: str) -> list[str]:
    """Delete the files of `folder` and move its folders up to `root`; their names there."""
    moved = []
    for entry in list(os.scandir(folder)):
        with contextlib.suppress(OSError):
            if not entry.is_dir(follow_symlinks=False):
                if entry.name != last:
                    os.unlink(entry.name, dir_fd=folder)
                continue
            os.chmod(entry.name, 0o700, dir_fd=folder)
            name = entry.name
            if folder != root:
                name = f"removed-{os.urandom(8).hex()}"
                os.rename(entry.name, name, src_dir_fd=folder, dst_dir_fd=root)
            moved.append(name)
    return moved
