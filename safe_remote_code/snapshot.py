"""The code itself: a closed set of Python files as bytes, and the one text that each of them is.

Guarantee: whoever holds a `Snapshot` holds sorted, duplicate-free files, bounded in count and size,
strict UTF-8 with no other coding cookie (PEP 263), and a digest that is a function of them. Text is
decoded here once and nowhere else: a file that begins ``# -*- coding: utf-7 -*-`` is two different
programs to `open()` and to `ast.parse(bytes)`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, final

from .errors import RefusedError
from .limits import MAX_FILE_BYTES, MAX_LINE_CHARS, MAX_SNAPSHOT_BYTES, MAX_SNAPSHOT_FILES
from .reference import check_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: PEP 263, which looks at the first two lines only; we look there as well.
_COOKIE: Final = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", re.MULTILINE)
_UTF8_NAMES: Final = frozenset({"utf-8", "utf8", "utf_8", "u8", "utf-8-sig"})
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_MANIFEST_HEADER: Final = "safe-remote-code snapshot 1\n"


def sha256_hex(data: bytes) -> str:
    """SHA-256 of `data`, 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def is_digest(text: str) -> bool:
    """Whether `text` is spelled as a digest of ours: `sha256:` and 64 hex digits."""
    return _DIGEST.fullmatch(text) is not None


def manifest_digest(files: Mapping[str, str]) -> str:
    """Digest over a canonical manifest of path and SHA-256, never over concatenated bytes."""
    lines = "".join(f"{files[path]}  {path}\n" for path in sorted(files))
    return "sha256:" + sha256_hex((_MANIFEST_HEADER + lines).encode())


def _is_utf8(cookie: str) -> bool:
    """Also what Python takes for UTF-8 by its beginning alone: `# _*_coding:utf-8_*_` (tokenize.c, get_normal_name)."""
    return cookie in _UTF8_NAMES or cookie[:12].replace("_", "-").startswith("utf-8-")


def _decode(path: str, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedError(f"not UTF-8 at byte {error.start}", subject=path) from None
    head = "\n".join(re.split("\r\n|\r|\n", text, maxsplit=2)[:2])
    for cookie in _COOKIE.findall(head):
        if not _is_utf8(cookie.lower()):
            raise RefusedError(f"source encoding {cookie!r}; only UTF-8 is read", subject=path)
    text = text.replace("\r\n", "\n")
    if "\0" in text or "\r" in text:
        # A lone CR ends a line for the tokenizer but not for many editors: a reviewer would not see the code.
        raise RefusedError("holds a NUL or a lone carriage return", subject=path)
    if any(len(line) > MAX_LINE_CHARS for line in text.split("\n")):
        raise RefusedError(f"holds a line of over {MAX_LINE_CHARS} characters", subject=path)
    return text


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One Python file: `path` inside the repository, `data` as read, `text` as decoded."""

    path: str
    data: bytes = field(repr=False)
    text: str = field(init=False, repr=False)
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        check_path(self.path)
        if len(self.data) > MAX_FILE_BYTES:
            raise RefusedError(f"larger than {MAX_FILE_BYTES} bytes", subject=self.path)
        object.__setattr__(self, "text", _decode(self.path, self.data))
        object.__setattr__(self, "sha256", sha256_hex(self.data))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A closed set of files: every relative import between them resolves inside it."""

    files: tuple[SourceFile, ...]
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        if not self.files:
            raise RefusedError("no Python file: there is nothing to verify")
        if len(self.files) > MAX_SNAPSHOT_FILES:
            raise RefusedError(f"more than {MAX_SNAPSHOT_FILES} files")
        if sum(len(file.data) for file in self.files) > MAX_SNAPSHOT_BYTES:
            raise RefusedError(f"more than {MAX_SNAPSHOT_BYTES} bytes of code")
        paths = [file.path for file in self.files]
        if paths != sorted(set(paths)):
            raise ValueError("files of a snapshot are sorted by path, each path once")
        folded = {path.lower() for path in paths}
        if len(folded) != len(paths):
            raise RefusedError("two files differ only in upper and lower case")
        object.__setattr__(self, "digest", manifest_digest(self.manifest))

    @property
    def manifest(self) -> dict[str, str]:
        """Path to SHA-256, in the order of the files."""
        return {file.path: file.sha256 for file in self.files}

    def __getitem__(self, path: str) -> SourceFile:
        for file in self.files:
            if file.path == path:
                return file
        raise KeyError(path)

    def __contains__(self, path: object) -> bool:
        return any(file.path == path for file in self.files)


def snapshot(files: Iterable[SourceFile]) -> Snapshot:
    """The snapshot of `files`, in canonical order.

    Raises:
        RefusedError: too many, too large, none at all, or names that collide on some file systems.
    """
    return Snapshot(files=tuple(sorted(files, key=lambda file: file.path)))
