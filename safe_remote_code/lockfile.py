"""`remote-code.lock`: which bytes were approved, of which repository, at which commit.

Guarantee: a `Lock` that exists is free of duplicates and contradictions, and each digest in it is a
function of the files listed beside it. Writing is canonical (same content, same bytes), and atomic:
a reader sees the old file or the new one.

A lock is to model code what uv.lock or Cargo.lock is to packages.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from .atomic import write_atomically
from .capability import CAPABILITIES
from .documents import Table, parse_toml, read_bytes
from .errors import RefusedError
from .reference import check_path, is_commit
from .snapshot import is_digest, manifest_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_LOCKFILE: Final = "remote-code.lock"
_HEADER: Final = (
    "# remote-code.lock: the remote code that this project approved, by content.\n"
    "# Written by `safe-remote-code pin`. Review a change to it like a change to code.\n"
)


def is_source(text: str) -> bool:
    """Whether `text` can stand as the source of an entry."""
    return text.startswith(("hub:", "local:")) and not any(
        ord(char) < 32 or 0xD800 <= ord(char) < 0xE000 for char in text
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    """The approved code of one repository at one commit."""

    source: str
    commit: str | None
    files: Mapping[str, str]
    entry_points: tuple[str, ...]
    capabilities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not is_source(self.source):
            raise ValueError("a source is hub:OWNER/NAME or local:NAME")
        if self.commit is not None and not is_commit(self.commit):
            raise ValueError("a commit is 40 hex digits")
        if not self.files or not self.entry_points:
            raise ValueError("a package has files and entry points")
        for path, digest in self.files.items():
            check_path(path)
            if not is_digest(f"sha256:{digest}"):
                raise ValueError(f"not a SHA-256: {digest!r:.80}")

    @property
    def digest(self) -> str:
        """Digest of the whole package, as `Snapshot.digest` computes it."""
        return manifest_digest(self.files)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """All approved packages, sorted by source and digest."""

    packages: tuple[LockedPackage, ...] = ()

    def __post_init__(self) -> None:
        keys = [(package.source, package.digest) for package in self.packages]
        if keys != sorted(set(keys)):
            raise ValueError("packages are sorted by source and digest, each once")

    def of_source(self, source: str) -> tuple[LockedPackage, ...]:
        """The packages that were pinned for `source`."""
        return tuple(package for package in self.packages if package.source == source)

    def with_package(self, package: LockedPackage, *, replace_source: bool) -> Lock:
        """This lock with `package` added; `replace_source` drops what the source had before."""
        kept = [
            other
            for other in self.packages
            if other.digest != package.digest or other.source != package.source
            if not (replace_source and other.source == package.source)
        ]
        return Lock(packages=tuple(sorted([*kept, package], key=lambda item: (item.source, item.digest))))


def _files(table: Table) -> dict[str, str]:
    files: dict[str, str] = {}
    for entry in table.tables("file"):
        path, digest = entry.text("path"), entry.text("sha256")
        if path in files:
            raise entry.error("path", f"{path!r:.80} is listed twice")
        files[path] = digest
        entry.done()
    return files


def _package(table: Table) -> LockedPackage:
    files = _files(table)
    commit = table.get("commit")
    if commit is not None and not isinstance(commit, str):
        raise table.error("commit", "a commit is 40 hex digits")
    capabilities = table.texts("capabilities")
    for name in capabilities:
        if name not in CAPABILITIES:
            raise table.error("capabilities", f"unknown capability {name!r:.80}")
    try:
        package = LockedPackage(
            source=table.text("source"),
            commit=commit,
            files=files,
            entry_points=table.texts("entry_points", None),
            capabilities=capabilities,
        )
    except (ValueError, RefusedError) as error:
        raise table.error("", str(error)) from None
    if table.text("digest") != package.digest:
        raise table.error("digest", "does not match the files listed below it", "restore the lock from version control")
    table.done()
    return package


def parse_lock(data: bytes, document: str) -> Lock:
    """Read a lock.

    Raises:
        DocumentError: malformed, truncated, duplicated or contradictory; the place is named.
    """
    root = parse_toml(data, document)
    packages = []
    for table in root.tables("package"):
        packages.append(_package(table))
        same = [item for item in packages if (item.source, item.digest) == (packages[-1].source, packages[-1].digest)]
        if len(same) > 1:
            raise table.error("digest", "this content is pinned twice for this source")
    # A lock cut off after a whole package is still TOML; the count at its head is not.
    if root.get("packages") != len(packages):
        raise root.error("packages", f"says {root.get('packages')!r:.40}, but {len(packages)} follow",
                         "restore the lock from version control")  # fmt: skip
    root.done()
    return Lock(packages=tuple(sorted(packages, key=lambda item: (item.source, item.digest))))


def read_lock(path: Path) -> Lock:
    """The lock at `path`; an empty one if there is no file.

    Raises:
        DocumentError: malformed or unreadable.
    """
    if not path.exists() and not path.is_symlink():
        return Lock()
    return parse_lock(read_bytes(path), str(path))


def format_lock(lock: Lock) -> str:
    """The canonical text of `lock`."""
    parts = [_HEADER, "format = 1\n", f"packages = {len(lock.packages)}\n"]
    for package in lock.packages:
        parts.append(f"\n[[package]]\nsource = {_quote(package.source)}\n")
        if package.commit is not None:
            parts.append(f"commit = {_quote(package.commit)}\n")
        parts.append(f"digest = {_quote(package.digest)}\n")
        parts.append(f"entry_points = {_quote_all(package.entry_points)}\n")
        parts.append(f"capabilities = {_quote_all(package.capabilities)}\n")
        for path in sorted(package.files):
            parts.append(f"[[package.file]]\npath = {_quote(path)}\nsha256 = {_quote(package.files[path])}\n")
    return "".join(parts)


def _quote(text: str) -> str:
    # Beyond ASCII as it is: TOML, unlike JSON, knows no surrogate pairs.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _quote_all(texts: tuple[str, ...]) -> str:
    if not texts:
        return "[]"
    return "[\n" + "".join(f"    {_quote(text)},\n" for text in sorted(texts)) + "]"


def write_lock(lock: Lock, path: Path) -> None:
    """Write `lock` to `path` atomically (a new file in the same folder, fsync, rename).

    Raises:
        DocumentError: the folder cannot be written.
    """
    write_atomically(path, format_lock(lock).encode("utf-8"))
