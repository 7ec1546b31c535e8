"""What the guard knows of one package while its code runs."""

from __future__ import annotations

import os
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from ..errors import GuardViolationError
from ..refusal_log import LOG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from ..policy import Granted

#: Real directories that a *user* just named in a call that saves; only below them may code write.
_WRITE_ROOTS: ContextVar[tuple[str, ...]] = ContextVar("safe_remote_code_write_roots", default=())

#: Whether the Hub client is at work for remote code that loads its own repository by name.
_OWN_DOWNLOAD: ContextVar[bool] = ContextVar("safe_remote_code_own_download", default=False)


@final
@dataclass(slots=True, kw_only=True, eq=False)
class PackageContext:
    """Grants, readable directories and modules of one guarded package.

    `name` is the prefix of its modules in `sys.modules`. `read_roots` are real paths, `repositories` the Hub ids that
    it was loaded for.
    `load` gives the package's own module for a path inside it.
    """

    source: str
    digest: str
    granted: Granted
    name: str = ""
    read_roots: set[str] = field(default_factory=set)
    repositories: set[str] = field(default_factory=set)
    monitored: bool = True
    load: Callable[[str], ModuleType]

    def may_read(self, real_path: str) -> bool:
        """Whether `real_path` lies in the package's own folders or in one being saved to."""
        return "file-read" in self.granted.capabilities or is_below(real_path, (*self.read_roots, *_WRITE_ROOTS.get()))

    def holds(self, real_path: str) -> bool:
        """Whether `real_path` lies in one of the package's own folders."""
        return is_below(real_path, tuple(self.read_roots))

    def may_write(self, real_path: str) -> bool:
        """Whether `real_path` lies below a directory that the user is saving to."""
        return "file-write" in self.granted.capabilities or is_below(real_path, _WRITE_ROOTS.get())

    def may_make(self, real_path: str) -> bool:
        """Whether `real_path` is a folder to write below, or one that has to be there for it."""
        return self.may_write(real_path) or any(is_below(root, (real_path,)) for root in _WRITE_ROOTS.get())

    def violation(self, what: str, capability: str, name: str = "") -> GuardViolationError:
        """The error for something that was not granted, with the grant that would allow it."""
        remedy = f'if you trust it with that, grant capabilities = ["{capability}"] to sources = ["{self.source}"]'
        error = GuardViolationError(what, subject=self.source, remedy=remedy)
        error.add_note(f"capability: {capability}" + (f", name: {name}" if name else ""))
        LOG.record(error, capability=capability, digest=self.digest)
        return error


def is_below(real_path: str, roots: tuple[str, ...]) -> bool:
    """Whether `real_path` is one of `roots` or inside one."""
    return any(real_path == root or real_path.startswith(root.rstrip(os.sep) + os.sep) for root in roots)


@contextmanager
def writing_below(directory: str) -> Iterator[None]:
    """Let remote code write below `directory` until the block ends."""
    token = _WRITE_ROOTS.set((*_WRITE_ROOTS.get(), os.path.realpath(directory)))
    try:
        yield
    finally:
        _WRITE_ROOTS.reset(token)


def is_saving() -> bool:
    """Whether a `writing_below` block is open here."""
    return bool(_WRITE_ROOTS.get())


@contextmanager
def downloading_own_files() -> Iterator[None]:
    """Let the Hub client work for remote code, until the block ends."""
    token = _OWN_DOWNLOAD.set(True)
    try:
        yield
    finally:
        _OWN_DOWNLOAD.reset(token)


def is_downloading_own_files() -> bool:
    """Whether a `downloading_own_files` block is open here."""
    return _OWN_DOWNLOAD.get()


def exact_path(path: object) -> str:
    """`path` as an exact `str`, asked for once, so that a path that changes its mind cannot.

    Raises:
        TypeError: not a path.
    """
    if isinstance(path, str):
        return str.__str__(path)
    if isinstance(path, os.PathLike):
        text = type(path).__fspath__(path)
        if isinstance(text, str):
            return str.__str__(text)
    raise TypeError(f"a path is a str or os.PathLike, not {type(path).__name__}")
