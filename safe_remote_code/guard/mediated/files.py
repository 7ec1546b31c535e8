"""Files, as remote code sees them: reads inside the model's own folders, writes below a save directory.

Guarantee: a path is made an exact `str` once, resolved once (no link is left in it), checked, and
that same resolved path is opened with O_NOFOLLOW. What comes back holds bytes in memory: no file
descriptor, no `FileIO` class that could be called with another path.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import weakref
from typing import TYPE_CHECKING, Final, final

from ...limits import MAX_GUARDED_READ_BYTES
from ..context import exact_path
from ..ownership import Sealed
from .calls import mediated_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..context import PackageContext

#: Where a stream goes when it is closed. Not an attribute and not an argument: code that reaches the
#: class by `type(stream)` can make streams, but none that has a place to go.
_TARGETS: Final[weakref.WeakKeyDictionary[_WriteStream, tuple[PackageContext, str, int]]] = weakref.WeakKeyDictionary()
_WRITE_FLAGS: Final = {
    "w": os.O_CREAT | os.O_TRUNC,
    "a": os.O_CREAT | os.O_APPEND,
    "x": os.O_CREAT | os.O_EXCL,
}


@final
class _WriteStream(io.BytesIO, Sealed):
    """Bytes that are written to their target when the stream is closed, if it may be written then, too."""

    def close(self) -> None:
        context, path, flags = _TARGETS.pop(self, (None, "", 0))
        if context is not None and not self.closed:
            if not context.may_write(path):
                raise context.violation(f"{path!r} was opened in a save that has ended", "file-write", "open")
            _write((path, flags), self.getvalue())
        super().close()


def _write(target: tuple[str, int], data: bytes) -> None:
    path, flags = target
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o666)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)


def guarded_open(context: PackageContext) -> Callable[..., io.IOBase]:
    """The `open` of one package."""

    def open(  # it stands in for the builtin
        file: object,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: object = None,
    ) -> io.IOBase:
        if opener is not None or not closefd or type(mode) is not str:
            raise context.violation("open() takes a path and a mode here", "file-read")
        path = os.path.realpath(exact_path(file))
        stream = _writable(context, path, mode) if set(mode) & set("wax") else _readable(context, path, mode)
        if "b" in mode:
            return stream
        return io.TextIOWrapper(stream, encoding or "utf-8", errors, newline)

    return open


def _readable(context: PackageContext, path: str, mode: str) -> io.BytesIO:
    if not set(mode) <= set("rbtU"):
        raise context.violation(f"mode {mode!r}: only plain reading and plain writing", "file-write")
    if not context.may_read(path):
        raise context.violation(f"{path!r} is not inside the model's own folder", "file-read", "open")
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        data = stream.read(MAX_GUARDED_READ_BYTES + 1)
    if len(data) > MAX_GUARDED_READ_BYTES:
        raise context.violation(f"{path!r} is larger than {MAX_GUARDED_READ_BYTES} bytes", "file-read", "open")
    return io.BytesIO(data)


def _writable(context: PackageContext, path: str, mode: str) -> io.BytesIO:
    if not set(mode) <= set("waxbt") or len(set(mode) & set("wax")) != 1:
        raise context.violation(f"mode {mode!r}: only plain reading and plain writing", "file-write")
    if not context.may_write(path):
        raise context.violation(f"{path!r} is not inside a directory that you are saving to", "file-write", "open")
    kind = next(letter for letter in mode if letter in _WRITE_FLAGS)
    _write((path, _WRITE_FLAGS[kind] & ~os.O_TRUNC), b"")  # fails now, as open() would, not when closed
    stream = _WriteStream()
    _TARGETS[stream] = (context, path, _WRITE_FLAGS[kind] & ~os.O_EXCL)
    return stream


def _copy(context: PackageContext) -> Callable[..., str]:
    def copy(src: object, dst: object, *, follow_symlinks: bool = True) -> str:
        source, target = os.path.realpath(exact_path(src)), os.path.realpath(exact_path(dst))
        if os.path.isdir(target):
            target = os.path.join(target, os.path.basename(source))
        if context.may_read(source) and not os.path.exists(source):
            # As natively, wherever it was to go.
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), source)
        if not context.may_read(source) or not context.may_write(target):
            raise context.violation(f"copying {source!r} to {target!r}", "file-write", "shutil.copy")
        return shutil.copyfile(source, target)

    return copy


def _rmtree(context: PackageContext) -> Callable[..., None]:
    remove = mediated_call(shutil.rmtree, "write-path", context)

    def rmtree(path: object, ignore_errors: bool = False, **callbacks: object) -> None:
        if callbacks:  # it is called with functions of `os`
            raise context.violation("shutil.rmtree takes no callback here", "file-write", "shutil.rmtree")
        remove(path, bool(ignore_errors))

    return rmtree


def replacements(context: PackageContext) -> dict[str, object]:
    """File functions by dotted name."""
    opened, copied = guarded_open(context), _copy(context)
    # Their real names: a library that re-exports one of them re-exports the replacement.
    replaced: dict[str, object] = {
        "builtins.open": opened, "io.open": opened, "_io.open": opened, "codecs.open": opened,
        "shutil.copyfile": copied, "shutil.copy": copied, "shutil.copy2": copied,
    }  # fmt: skip
    for name in ("listdir", "scandir", "walk", "stat"):
        replaced[f"os.{name}"] = mediated_call(getattr(os, name), "read-path", context)
    for name in ("makedirs", "mkdir", "remove", "unlink", "rmdir"):
        replaced[f"os.{name}"] = mediated_call(getattr(os, name), "write-path", context)
    for name in ("replace", "rename"):
        replaced[f"os.{name}"] = mediated_call(getattr(os, name), "write-path", context, all_paths=True)
    replaced["shutil.rmtree"] = _rmtree(context)
    return replaced
