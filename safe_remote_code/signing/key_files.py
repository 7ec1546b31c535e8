"""Key files: a private key is readable by its owner only, and never overwritten."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DocumentError, SignatureError
from ..limits import MAX_KEY_BYTES
from .keys import PrivateKey, PublicKey, parse_private, parse_public

if TYPE_CHECKING:
    from collections.abc import Callable


def load_public(path: str | os.PathLike[str]) -> PublicKey:
    """The public key in the file at `path` (PEM, or one OpenSSH line).

    Raises:
        DocumentError: it cannot be read. SignatureError: it is no key that is accepted.
    """
    data = _read(Path(path), lambda _: None)
    try:
        return parse_public(data.decode("utf-8", errors="replace"))
    except SignatureError as error:
        raise SignatureError(error.message, subject=str(path), remedy=error.remedy) from None


def load_private(path: str | os.PathLike[str], password: bytes | None = None) -> PrivateKey:
    """The private key in the PEM file at `path`.

    Raises:
        DocumentError: it cannot be read, or others than its owner may read it.
        SignatureError: it is no key that is accepted, or the password is wrong.
    """
    data = _read(Path(path), lambda status: _check_private(Path(path), status))
    try:
        return parse_private(data, password)
    except SignatureError as error:
        raise SignatureError(error.message, subject=str(path), remedy=error.remedy) from None


def is_encrypted(path: str | os.PathLike[str]) -> bool:
    """Whether the private key file at `path` asks for a password.

    Raises:
        DocumentError: it cannot be read.
    """
    data = _read(Path(path), lambda _: None)
    return b"BEGIN ENCRYPTED PRIVATE KEY" in data or b"Proc-Type: 4,ENCRYPTED" in data


def write_pair(key: PrivateKey, path: Path, password: bytes | None) -> Path:
    """Write `key` to `path` (mode 0600) and its public half to `path` + `.pub`; return the latter.

    Raises:
        DocumentError: one of the files exists already, or cannot be written.
    """
    public = path.with_name(path.name + ".pub")
    if public.exists():
        raise DocumentError("exists already", subject=str(public), remedy="choose another name")
    _create(path, key.pem(password), 0o600)
    _create(public, key.public.pem.encode("ascii"), 0o644)
    return public


def _check_private(path: Path, status: os.stat_result) -> None:
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise DocumentError("others than its owner can read this private key", subject=str(path),
                            remedy=f"chmod 600 {path}")  # fmt: skip
    if status.st_uid not in (0, os.geteuid()):
        raise DocumentError("this private key belongs to another user", subject=str(path), remedy="use a key of yours")


def _read(path: Path, check: Callable[[os.stat_result], None]) -> bytes:
    """The bytes of the regular file at `path`, judged and read by one descriptor, so nothing changes in between."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise DocumentError("not a regular file", subject=str(path))
            check(status)
            with os.fdopen(descriptor, "rb", closefd=False) as stream:
                return stream.read(MAX_KEY_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror or error}", subject=str(path)) from None


def _create(path: Path, data: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
    except FileExistsError:
        raise DocumentError("exists already", subject=str(path), remedy="choose another name") from None
    except OSError as error:
        raise DocumentError(f"cannot be written: {error.strerror or error}", subject=str(path)) from None
