"""The text that was reviewed, kept beside the store so that the next reviewer sees what changed.

Files lie under the SHA-256 of their content; the manifest of a package (which path held which content) under
the package's digest. What is read is checked against its name, so the folder needs no trust, and a missing or
spoilt object costs the diff, never the verdict. Nothing is ever executed from it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from ..atomic import write_atomically
from ..errors import DocumentError, RefusedError
from ..limits import MAX_FILE_BYTES
from ..reference import check_path
from ..snapshot import manifest_digest, sha256_hex

if TYPE_CHECKING:
    from ..snapshot import Snapshot

#: 256 files at 64 digits and a path of at most 255 characters each.
_MAX_MANIFEST_BYTES: Final = 128 * 1024
_LINE: Final = re.compile(r"([0-9a-f]{64})  (\S+)")


@final
class ObjectFolder:
    """The folder `objects` beside a store."""

    def __init__(self, store: Path) -> None:
        self._folder = store.with_suffix("") / "objects"

    def keep(self, code: Snapshot) -> None:
        """Keep the files of `code` and its manifest, each once.

        Raises:
            DocumentError: the folder cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DocumentError(f"cannot be made: {error.strerror or error}", subject=str(self._folder)) from None
        for file in code.files:
            if self.file(file.sha256) is None:
                write_atomically(self._folder / file.sha256, file.data)
        if self.manifest(code.digest) is None:
            text = "".join(f"{digest}  {path}\n" for path, digest in code.manifest.items())
            write_atomically(self._manifest_path(code.digest), text.encode("ascii"))

    def file(self, sha256: str) -> bytes | None:
        """The content whose hash is `sha256`, if it is here and unspoilt."""
        data = _read(self._folder / sha256, MAX_FILE_BYTES)
        return data if data is not None and sha256_hex(data) == sha256 else None

    def manifest(self, digest: str) -> dict[str, str] | None:
        """Path to SHA-256 of the package whose digest is `digest`, if it is here and unspoilt."""
        data = _read(self._manifest_path(digest), _MAX_MANIFEST_BYTES)
        if data is None:
            return None
        found: dict[str, str] = {}
        for line in data.decode("ascii", "replace").splitlines():
            match = _LINE.fullmatch(line)
            if match is None:
                return None
            try:
                found[check_path(match[2])] = match[1]
            except RefusedError:
                return None
        return found if found and manifest_digest(found) == digest else None

    def _manifest_path(self, digest: str) -> Path:
        return self._folder / f"{digest.removeprefix('sha256:')}.manifest"


def _read(path: Path, max_bytes: int) -> bytes | None:
    try:
        with path.open("rb") as stream:
            data = stream.read(max_bytes + 1)
    except OSError:
        return None
    return data if len(data) <= max_bytes else None
