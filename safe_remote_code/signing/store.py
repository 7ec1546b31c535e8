"""Where signatures lie: `remote-code.signatures/` beside `remote-code.lock`, one folder for each content.

```
remote-code.signatures/
  <first 32 hex digits of the package digest>/
    <key>.json                          a DSSE envelope, as `safe-remote-code sign` writes it
    <name>.statement.json               a statement as plain bytes ...
    <name>.statement.json.sig           ... and what `ssh-keygen -Y sign` wrote beside it
  rotations/<rule>/1.json, 2.json, ...
```

Beside the lock and not in it, so that a signature does not change what it speaks of, and two people who
sign at the same time change different files. Nothing here is believed: names mean nothing, content is
verified by `verify.trust`. Reads are bounded; a link is not followed.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from ..errors import DocumentError, SignatureError
from ..limits import MAX_ENVELOPE_BYTES, MAX_SIGNATURE_FILES

_STATEMENT: Final = ".statement.json"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """One signed payload as it lies there, unverified: a DSSE envelope, or a statement with an SSH signature."""

    name: str
    data: bytes
    ssh_signature: str | None = None


def signature_folder(lockfile: Path) -> Path:
    """The folder that belongs to `lockfile`."""
    return lockfile.with_name(f"{lockfile.name.removesuffix('.lock')}.signatures")


def package_folder(lockfile: Path, digest: str) -> Path:
    """Where signatures of the package `digest` (`sha256:...`) lie."""
    return signature_folder(lockfile) / digest.removeprefix("sha256:")[:32]


def read_signatures(lockfile: Path, digest: str) -> tuple[Signed, ...]:
    """Everything that lies there for the package `digest`; none if there is no folder.

    Raises:
        DocumentError: unreadable. SignatureError: more files than are looked at, or a file too large.
    """
    folder = package_folder(lockfile, digest)
    found = []
    for name in _names(folder):
        if name.endswith(_STATEMENT):
            if (folder / f"{name}.sig").exists():
                signature = _read(folder / f"{name}.sig").decode("utf-8", errors="replace")
                found.append(Signed(name=name, data=_read(folder / name), ssh_signature=signature))
        elif name.endswith(".json"):
            found.append(Signed(name=name, data=_read(folder / name)))
    return tuple(found)


def read_rotations(lockfile: Path, rule: str) -> tuple[bytes, ...]:
    """The rotations of `rule`, in order: 1.json, 2.json and so on, as far as they go without a gap.

    Raises:
        DocumentError: unreadable. SignatureError: too many, or a gap.
    """
    folder = signature_folder(lockfile) / "rotations" / rule
    names = [name for name in _names(folder) if name.endswith(".json")]
    expected = [f"{number}.json" for number in range(1, len(names) + 1)]
    if sorted(names) != sorted(expected):
        raise SignatureError("rotations are numbered 1.json, 2.json, ... without gaps", subject=str(folder),
                             remedy="restore the folder from version control")  # fmt: skip
    return tuple(_read(folder / name) for name in expected)


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically, making its folder.

    Raises:
        DocumentError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise DocumentError(f"cannot be written: {error.strerror or error}", subject=str(path)) from None


def _names(folder: Path) -> list[str]:
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DocumentError(f"cannot be listed: {error.strerror}", subject=str(folder)) from None
    if len(names) > MAX_SIGNATURE_FILES:
        raise SignatureError(f"more than {MAX_SIGNATURE_FILES} files", subject=str(folder))
    return names


def _read(path: Path) -> bytes:
    # The one reader of regular files that follows no link lies above this layer; the same rules, for a few small files.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            data = stream.read(MAX_ENVELOPE_BYTES + 1)
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror or error}", subject=str(path)) from None
    if len(data) > MAX_ENVELOPE_BYTES:
        raise SignatureError(f"larger than {MAX_ENVELOPE_BYTES} bytes", subject=str(path))
    return data
