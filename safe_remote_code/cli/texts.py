"""The text of content that is known by its digest: from wherever it still is, and always checked by hash.

Looked for in the objects beside the store, in what `pin` kept, in directories that the user named, in the
directory beside the lock that a local pin is named after, and in the Hub at the pinned commit.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, final

from ..audits.objects import ObjectFolder
from ..errors import RemoteCodeError
from ..fetch import open_source
from ..fetch.source import HubOptions
from ..limits import MAX_FILE_BYTES
from ..reference import RepoSource
from ..snapshot import Snapshot, SourceFile, sha256_hex, snapshot
from .options import named
from .pinstore import kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..audits.store import AuditStore
    from ..fetch import Source
    from ..lockfile import Lock, LockedPackage


def place_of(package: LockedPackage, beside: Path) -> RepoSource | None:
    """Where the code of `package` may be read: its Hub repository, or the directory of its name beside the lock."""
    if package.source.startswith("hub:"):
        try:
            return named(package.source, "model")
        except RemoteCodeError:
            return None
    folder = beside / package.source.removeprefix("local:")
    return RepoSource(kind="local", location=str(folder.absolute())) if folder.is_dir() else None


@final
class Texts:
    """Snapshots by digest."""

    def __init__(
        self, store_path: Path, store: AuditStore, lock: Lock, lockfile: Path, options: HubOptions,
        sources: Sequence[Source] = (),
    ) -> None:  # fmt: skip
        self._objects = ObjectFolder(store_path)
        self._lock, self._beside, self._options = lock, lockfile.parent, options
        self._commits = {audit.digest: (audit.source, audit.commit) for audit in store.audits if audit.commit}
        self._sources = list(sources)
        self._found: dict[str, Snapshot | None] = {}

    def snapshot(self, digest: str) -> Snapshot | None:
        """The content `digest`, if every file of it can be had."""
        if digest not in self._found:
            self._found[digest] = self._look(digest)
        return self._found[digest]

    def _look(self, digest: str) -> Snapshot | None:
        pinned = [package for package in self._lock.packages if package.digest == digest]
        manifest = dict(pinned[0].files) if pinned else self._objects.manifest(digest)
        if manifest is None:
            return None
        places = [*self._sources, *self._places(digest, pinned)]
        files = []
        for path, sha256 in manifest.items():
            data = self._file(path, sha256, places)
            if data is None:
                return None
            files.append(SourceFile(path=path, data=data))
        code = snapshot(files)
        return code if code.digest == digest else None

    def _places(self, digest: str, pinned: list[LockedPackage]) -> list[Source]:
        found = []
        for package in pinned:
            place = place_of(package, self._beside)
            if place is not None:
                found.append(open_source(place, package.commit if place.kind == "hub" else None, self._options))
        source, commit = self._commits.get(digest, ("", None))
        if source.startswith("hub:"):
            found.append(open_source(named(source, "model"), commit, self._options))
        return found

    def _file(self, path: str, sha256: str, places: list[Source]) -> bytes | None:
        for data in (self._objects.file(sha256), kept(sha256)):
            if data is not None:
                return data
        for source in places:
            try:
                data = source.read(path, MAX_FILE_BYTES)
            except RemoteCodeError:
                continue  # it may be elsewhere; without it there is no diff, and that is said
            if sha256_hex(data) == sha256:
                return data
        return None
