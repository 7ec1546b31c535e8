"""What the worker saved, taken over: names, kinds and sizes are checked, then the bytes are copied.

The worker writes to a folder of its own. It may be hostile and it is alive while we read, so: the folder is
made by us and everything goes through its descriptor, whatever the worker puts in its place; no link is
followed, only plain files with one name are opened, weights are safetensors and parse as such, and code is
taken only if its hash is in the lock. The bytes are copied, never renamed: a file that the worker still has
open could change after it was checked.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...errors import RefusedError, WorkerProtocolError
from ...lockfile import read_lock
from .unsupported import unsupported

if TYPE_CHECKING:
    from .proxy import RemoteObject

_NAME: Final = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,200}\.(json|safetensors|txt|model|jinja|py|tiktoken|bpe|vocab)"
)
_MAX_FILES: Final = 4096
_STEP_BYTES: Final = 1 << 24


def save(target: RemoteObject, directory: Any, *, push_to_hub: bool, settings: dict[str, Any]) -> tuple[str, ...]:
    """Have the worker save `target` and copy what it saved to `directory`; the paths.

    Raises:
        RefusedError: it left something that may not be copied. OSError: the directory cannot be written.
    """
    if push_to_hub:
        unsupported("push_to_hub")
    worker, folder = target._worker, Path(os.fspath(directory))
    place = worker.out / f"save-{os.urandom(8).hex()}"
    os.mkdir(place, 0o700)
    held = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        worker.ask("save", {"target": target, "folder": str(place), "settings": settings})
        folder.mkdir(parents=True, exist_ok=True)
        names = sorted(os.listdir(held))
        if len(names) > _MAX_FILES:
            raise RefusedError("the worker saved too many files", subject=str(folder))
        for name in names:
            _check_name(name, folder)
        return tuple(_copied(held, name, folder / name, worker.approved) for name in names)
    finally:
        os.close(held)


def _check_name(name: str, folder: Path) -> None:
    if not _NAME.fullmatch(name):
        raise RefusedError(f"the worker saved a file that may not be copied: {name!r:.80}", subject=str(folder))


def _copied(folder: int, name: str, target: Path, approved: frozenset[str] | None) -> str:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise RefusedError("the worker saved something that is not a plain file", subject=target.name)
        temporary, digest = _copy(descriptor, target, status.st_size)
    finally:
        os.close(descriptor)
    try:
        _check_content(temporary, target.name, digest, approved)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    os.unlink(name, dir_fd=folder)  # room for the rest
    return str(target)


def _copy(descriptor: int, target: Path, size: int) -> tuple[str, str]:
    """A temporary file beside `target` with the first `size` bytes, and their SHA-256."""
    sha = hashlib.sha256()
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            while size and (data := os.read(descriptor, min(size, _STEP_BYTES))):
                size -= len(data)
                sha.update(data)
                stream.write(data)
    except BaseException:
        os.unlink(temporary)
        raise
    return temporary, sha.hexdigest()


def _check_content(path: str, name: str, digest: str, approved: frozenset[str] | None) -> None:
    if name.endswith(".py") and approved is not None and digest not in approved:
        raise RefusedError("the worker saved code that nobody pinned", subject=name)
    if name.endswith(".safetensors"):
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="np") as weights:
                weights.keys()
        except (SafetensorError, OSError) as error:
            raise WorkerProtocolError(f"the worker saved weights that are none: {error}", subject=name) from None


def approved_hashes(lockfile: Path) -> frozenset[str]:
    """The SHA-256 of every file that some package of the lock holds."""
    return frozenset(
        digest.removeprefix("sha256:") for package in read_lock(lockfile).packages for digest in package.files.values()
    )
