"""What a repository on the Hub holds: commits, and refs that move over them.

Rules:

1. A commit id is 40 hexadecimal digits and a function of the files alone, so that a test may name
   it in advance, and the same content has the same id in every repository.
2. A revision is looked up as git does it: commit id, full ref, branch, tag.

What it does not do: history. A commit has no parent, so going back is moving a branch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import final

LFS_SUFFIXES = (".safetensors", ".bin", ".pt", ".gguf", ".onnx", ".model")
"""Files that the Hub keeps in LFS: another ETag, and a redirect to another origin."""

_POINTER_BYTES = 134
"""The usual size of an LFS pointer file, which the tree listing reports."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """The content of one file, with the identities that the Hub gives to it."""

    content: bytes
    in_lfs: bool

    @property
    def git_oid(self) -> str:
        """The id that `git hash-object` gives, which is the ETag of a file outside LFS."""
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.in_lfs else self.git_oid

    def described(self) -> dict[str, object]:
        """Size and identities, in the words of the tree listing."""
        described: dict[str, object] = {"oid": self.git_oid, "size": len(self.content)}
        if self.in_lfs:
            described["lfs"] = {"oid": self.sha256, "size": len(self.content), "pointerSize": _POINTER_BYTES}
        return described


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The files of a repository at one moment."""

    files: Mapping[str, Blob]

    @property
    def id(self) -> str:
        listing = [[path, blob.sha256] for path, blob in sorted(self.files.items())]
        return hashlib.sha1(json.dumps(listing).encode()).hexdigest()

    def below(self, folder: str) -> dict[str, Blob]:
        """The files inside `folder`; an empty name is the whole repository."""
        prefix = f"{folder}/" if folder else ""
        return {path: blob for path, blob in sorted(self.files.items()) if path.startswith(prefix)}


@final
@dataclass(slots=True)
class HubRepository:
    """One repository: its commits, its refs by full name, and who may read it."""

    name: str
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    readers: frozenset[str] | None = None
    """The tokens that may read a gated repository; `None` where it is not gated."""

    def add(self, files: Mapping[str, bytes | str]) -> str:
        """Store a commit that holds exactly `files`; no ref points to it yet."""
        blobs = {path: _blob(path, content) for path, content in files.items()}
        commit = Commit(files=MappingProxyType(blobs))
        self.commits[commit.id] = commit
        return commit.id

    def point(self, ref: str, commit_id: str) -> None:
        """Let the full ref name `ref` stand for a commit that exists."""
        if commit_id not in self.commits:
            raise ValueError(f"{self.name} has no commit {commit_id}")
        self.refs[ref] = commit_id

    def at(self, revision: str) -> Commit | None:
        """The commit that `revision` means now."""
        for ref in (revision, f"refs/heads/{revision}", f"refs/tags/{revision}"):
            found = self.commits.get(self.refs.get(ref, ref))
            if found is not None:
                return found
        return None

    def listed(self, prefix: str) -> list[dict[str, str]]:
        """The refs below `prefix`, in the words of the refs listing."""
        return [
            {"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": commit_id}
            for ref, commit_id in sorted(self.refs.items())
            if ref.startswith(prefix)
        ]


def _blob(path: str, content: bytes | str) -> Blob:
    data = content.encode() if isinstance(content, str) else content
    return Blob(content=data, in_lfs=path.endswith(LFS_SUFFIXES))
