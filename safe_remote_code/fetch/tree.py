"""All files of a model folder, and their hashes, as fast as the disk and the cores allow.

Rules: a link may lead inside the folder, or into `blobs/` of a Hub cache (whose snapshot folders are made of
such links): what counts is the content, under the name that the snapshot gives it. A link to a folder, a link
elsewhere, and anything that is not a regular file are refused. Files are hashed in threads, the largest first,
because hashlib releases the GIL; each file is opened once, and its length is that of the open file.

It does not: trust names of cached blobs, which are hashes but not of what the disk holds today.
"""

from __future__ import annotations

import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from ..errors import FetchError, RefusedError
from ..limits import MAX_MODEL_FILES
from .local import allowed_roots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: Large enough that the GIL and system calls cost nothing, small enough for the level-2 cache.
_BUFFER_BYTES: Final = 1024 * 1024


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFile:
    """A regular file: its name in the folder (with `/`), where its content lies, and how many bytes it has."""

    path: str
    real: str
    size: int


def list_tree(directory: str, skip: Callable[[str], bool] = lambda _: False) -> tuple[TreeFile, ...]:
    """All files below `directory`, by path; `skip` says of which paths nothing is read, whole folders included.

    Raises:
        FetchError: unreadable. RefusedError: a link that leads out, something that is no file, or too many files.
    """
    roots = allowed_roots(directory)
    found: list[TreeFile] = []
    for entry, path in _walk(directory, "", skip):
        found.append(_file(entry, path, roots))
        if len(found) > MAX_MODEL_FILES:
            raise RefusedError(f"more than {MAX_MODEL_FILES} files", subject=directory)
    return tuple(sorted(found, key=lambda file: file.path))


def _walk(directory: str, prefix: str, skip: Callable[[str], bool]) -> Iterator[tuple[os.DirEntry[str], str]]:
    try:
        with os.scandir(directory) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise FetchError(f"cannot be listed: {error.strerror}", subject=directory) from None
    for entry in listed:
        path = f"{prefix}{entry.name}"
        if skip(path):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f"{path}/", skip)
        else:
            yield entry, path


def _file(entry: os.DirEntry[str], path: str, roots: tuple[str, ...]) -> TreeFile:
    real = os.path.realpath(entry.path)
    if not any(real.startswith(root.rstrip(os.sep) + os.sep) for root in roots):
        raise RefusedError("a link that leads out of the repository", subject=path)
    try:
        status = os.stat(real, follow_symlinks=False)
    except OSError as error:
        raise FetchError(f"cannot be read: {error.strerror}", subject=path) from None
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError("a link to a folder, or not a regular file", subject=path)
    return TreeFile(path=path, real=real, size=status.st_size)


def hash_files(
    files: Iterable[TreeFile], hash_name: Callable[[TreeFile], str] = lambda _: "sha256", *, workers: int = 0,
    progress: Callable[[TreeFile], None] = lambda _: None,
) -> dict[str, str]:  # fmt: skip
    """Path to digest (hex) of each of `files`, by the hash that `hash_name` gives it (`git` is git's blob id).

    `workers` is a number of threads, 0 for one a usable core; `progress` is told each file that is done.

    Raises:
        FetchError: a file cannot be read. RefusedError: it was replaced since it was listed.
    """
    count = workers or len(os.sched_getaffinity(0))
    largest_first = sorted(files, key=lambda file: -file.size)
    digests: dict[str, str] = {}
    with ThreadPoolExecutor(max_workers=count) as pool:
        waiting = {pool.submit(_hash, file, hash_name(file)): file for file in largest_first}
        try:
            for done in as_completed(waiting):
                digests[waiting[done].path] = done.result()
                progress(waiting[done])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return digests


def _hash(file: TreeFile, name: str) -> str:
    try:
        descriptor = os.open(file.real, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb", buffering=0) as stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size != file.size:
                raise RefusedError("changed while it was looked at", subject=file.path)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
            digest = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False) if name == "git" else None
            digest = digest or hashlib.new(name)
            buffer = bytearray(min(_BUFFER_BYTES, file.size) or 1)
            view = memoryview(buffer)
            while count := stream.readinto(view):
                digest.update(view[:count])
    except OSError as error:
        raise FetchError(f"cannot be read: {error.strerror}", subject=file.path) from None
    return digest.hexdigest()
