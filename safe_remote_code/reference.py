"""What is to be loaded: a repository and a class in one of its modules.

Guarantee: a `RepoSource` or `ModuleRef` that exists is well formed: no `..`, no absolute path inside
a repository, no NUL, no control character, identifiers that Python itself would accept.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, final

from .errors import RefusedError
from .limits import MAX_PATH_CHARS

RepoType = Literal["model", "dataset", "space"]
#: huggingface_hub.utils.validate_repo_id, without its deprecated forms.
_REPO_ID: Final = re.compile(r"(?:[A-Za-z0-9][\w.-]{0,95}/)?[A-Za-z0-9_][\w.-]{0,95}", re.ASCII)
_SEGMENT: Final = re.compile(r"[\w][\w.+-]*", re.ASCII)
_IDENTIFIER: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


def is_commit(revision: str) -> bool:
    """Whether `revision` is a full commit id, which unlike a branch or tag cannot move."""
    return _COMMIT.fullmatch(revision) is not None


def check_path(path: str) -> str:
    """Return `path` if it is a plain relative POSIX path of a file inside a repository.

    Raises:
        RefusedError: it is absolute, too long, or has `..`, an empty part or an odd character.
    """
    parts = path.split("/")
    good = len(path) <= MAX_PATH_CHARS and all(_SEGMENT.fullmatch(part) for part in parts)
    if not good:
        raise RefusedError("not a plain relative path of letters, digits and . _ + -", subject=repr(path)[:120])
    return path


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RepoSource:
    """A Hub repository (`kind` ``hub``, `location` its id) or a local directory (its absolute path)."""

    kind: Literal["hub", "local"]
    location: str
    repo_type: RepoType = "model"

    def __post_init__(self) -> None:
        if self.repo_type not in ("model", "dataset", "space"):
            raise RefusedError(f"unknown repo_type {self.repo_type!r}", subject=self.location)
        if self.kind == "hub":
            bad = not _REPO_ID.fullmatch(self.location) or ".." in self.location or "--" in self.location
        else:
            bad = not os.path.isabs(self.location) or "\0" in self.location
        if bad:
            raise RefusedError("not a repository id or directory", subject=repr(self.location)[:120])

    def __str__(self) -> str:
        """Stable name for locks, policies and messages; local directories go by their last part."""
        if self.kind == "hub":
            prefix = "" if self.repo_type == "model" else f"{self.repo_type}s/"
            return f"hub:{prefix}{self.location}"
        return f"local:{os.path.basename(os.path.normpath(self.location))}"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleRef:
    """`class_name` in the file `path` of `source` at `revision` (None: the pinned one decides).

    A `class_name` of `ModuleRef.ANY` asks for the module, and is approved if any class of it is.
    """

    ANY: ClassVar[str] = "_any_"

    source: RepoSource
    path: str
    class_name: str
    revision: str | None = None

    def __post_init__(self) -> None:
        check_path(self.path)
        if not self.path.endswith(".py"):
            raise RefusedError("a class is loaded from a .py file", subject=self.path)
        if not _IDENTIFIER.fullmatch(self.class_name):
            raise RefusedError(f"not a class name: {self.class_name!r}", subject=self.path)

    @property
    def entry_point(self) -> str:
        """`module.Class`, the spelling of `auto_map`."""
        return f"{self.path.removesuffix('.py')}.{self.class_name}"


def parse_source(location: str | os.PathLike[str], repo_type: str | None = None) -> RepoSource:
    """The repository that `location` names: a directory that exists, else a Hub id.

    Raises:
        RefusedError: it is neither.
    """
    text = os.fspath(location)
    if os.path.isdir(text):
        return RepoSource(kind="local", location=os.path.abspath(text))
    if text.startswith(("/", "./", "../", "~")):
        raise RefusedError("no such directory", subject=text, remedy="check the path")
    kind: RepoType = repo_type or "model"  # type: ignore[assignment]  # checked by RepoSource
    return RepoSource(kind="hub", location=text, repo_type=kind)


def parse(
    class_reference: str,
    location: str | os.PathLike[str],
    *,
    revision: str | None = None,
    code_revision: str | None = None,
    repo_type: str | None = None,
) -> ModuleRef:
    """Read `[repo--]module.Class` as transformers does, with the revision that governs the *code*.

    A revision names a commit of the repository that the user typed. For code of another repository
    (`repo--`) it says nothing, so only `code_revision` counts there.

    Raises:
        RefusedError: the reference is malformed.
    """
    repo, separator, rest = class_reference.rpartition("--")
    parts = rest.split(".")
    if len(parts) != 2 or (separator and not repo):
        raise RefusedError("a class reference is [repo--]module.Class", subject=repr(class_reference)[:120])
    own = not separator or repo == os.fspath(location)
    source = parse_source(location if own else repo, repo_type)
    return ModuleRef(
        source=source,
        path=f"{parts[0]}.py",
        class_name=parts[1],
        revision=code_revision if code_revision is not None else (revision if own else None),
    )
