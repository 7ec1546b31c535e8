"""The text that `pin` approved, kept for the diff of the next `pin --update`.

Files lie in the user's cache folder under the SHA-256 of their content. What is read back is checked
against that hash, so that the store needs no trust; a store that is missing, full or read-only costs
only the diff. Nothing is ever executed from it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..limits import MAX_FILE_BYTES
from ..snapshot import sha256_hex

if TYPE_CHECKING:
    from ..snapshot import Snapshot


def store_folder() -> Path:
    """`$XDG_CACHE_HOME/safe-remote-code/pinned`."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "safe-remote-code" / "pinned"


def keep(code: Snapshot) -> None:
    """Keep the files of `code`, each once; without a place to keep them, do nothing."""
    for file in code.files:
        try:
            if kept(file.sha256) is None:
                _write(store_folder() / file.sha256, file.data)
        except OSError:
            return


def kept(sha256: str) -> bytes | None:
    """The bytes whose hash is `sha256`, if they are there and unspoilt."""
    try:
        with (store_folder() / sha256).open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError:
        return None
    return data if sha256_hex(data) == sha256 else None


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
