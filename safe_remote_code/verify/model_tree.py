"""A model folder against what was signed, or against what the Hub's cache calls its files.

1. every file that was signed is there, with the signed content;
2. every other file is unsigned and refused, except the signature itself, git's own files, notes of the Hub's
   client, and what the signer left out, if it is not code;
3. code (any file that Python could import) is never left out, whoever wishes it: not by `ignore_paths`, not by a
   hidden folder.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, final

from ..errors import DigestMismatchError
from ..signing.oms import GIT_PATHS, HUB_NOTES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..signing.oms import ModelManifest

#: What an import system of CPython, or of a library that loads plug-ins, would take for code.
CODE_SUFFIXES: Final = (
    ".py", ".pyc", ".pyo", ".pyw", ".pyi", ".pyx", ".pth", ".so", ".pyd", ".dylib", ".dll", ".egg", ".whl",
)  # fmt: skip
_BLOB: Final = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
_MAX_NAMED: Final = 20


def is_code(path: str) -> bool:
    """Whether Python could import the file at `path`."""
    return path.lower().endswith(CODE_SUFFIXES) or ".so." in path.lower()


def skipped(path: str, signed: Collection[str]) -> bool:
    """Whether nothing is read of `path`: git's own at the top of the folder, unless something there was signed.

    No class reference can name a path there (`reference.check_path`).
    """
    top = path.partition("/")[0]
    return top in GIT_PATHS and not any(name.partition("/")[0] == top for name in signed)


@final
@dataclass(slots=True)
class Differences:
    """What is wrong with a folder, by kind; each a list of paths."""

    changed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unsigned: list[str] = field(default_factory=list)

    def refuse(self, subject: str) -> None:
        """Return if there are none.

        Raises:
            DigestMismatchError: with the first paths of each kind.
        """
        kinds = {"changed": self.changed, "missing": self.missing, "not signed": self.unsigned}
        if not any(kinds.values()):
            return
        parts = []
        for kind, paths in kinds.items():
            more = f" and {len(paths) - _MAX_NAMED} more" if len(paths) > _MAX_NAMED else ""
            parts += [f"{kind}: {', '.join(sorted(paths)[:_MAX_NAMED])}{more}"] if paths else []
        raise DigestMismatchError("; ".join(parts), subject=subject, remedy="restore the files, or ask who signed them")


def check_signed(
    manifest: ModelManifest, present: Collection[str], digests: Mapping[str, str], *, signature: str | None,
    subject: str, code_only: bool,
) -> tuple[str, ...]:  # fmt: skip
    """The paths that are there and not covered by the signature, if all else is as it was signed.

    `present` are the files of the folder, `digests` those that were hashed; with `code_only`, nothing but code is
    judged. `signature` is the path of the signature file, if it lies in the folder.

    Raises:
        DigestMismatchError: something is changed, missing, or not signed and may not be left out.
    """
    found, uncovered = Differences(), []
    for path, signed in manifest.files.items():  # 1
        if code_only and not is_code(path):
            continue
        if path not in present:
            found.missing.append(path)
        elif digests.get(path) != signed:
            found.changed.append(path)
    for path in present:
        if path in manifest.files or path == signature or (code_only and not is_code(path)):
            continue
        if is_code(path) or not _left_out(path, (*manifest.ignored, HUB_NOTES)):  # 2, 3
            found.unsigned.append(path)
        else:
            uncovered.append(path)
    found.refuse(subject)
    return tuple(sorted(uncovered))


def _left_out(path: str, ignored: tuple[str, ...]) -> bool:
    """Whether `path`, which is relative, is one of `ignored` or lies in one: `.` and `/` are nothing's beginning."""
    return any(path == name or path.startswith(f"{name.rstrip('/')}/") for name in ignored)


def named_digests(places: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Path to hash name and digest, for each of `places` (path to real place) that lies in a Hub cache.

    There a blob is named by its content: by the SHA-256 of an LFS file, or by the git id (SHA-1) of another. That
    was true when the file was downloaded, so it shows damage; nobody signed it, so it does not show malice of
    whoever can write to the cache.
    """
    named = {}
    for path, real in places.items():
        folder, blob = os.path.split(real)
        if os.path.basename(folder) == "blobs" and _BLOB.fullmatch(blob):
            named[path] = ("sha256" if len(blob) == 64 else "git", blob)
    return named
