"""Where bytes come from: the plug point of local directories, the Hub, and simulators in tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, final

if TYPE_CHECKING:
    from ..reference import RepoSource


class Source(Protocol):
    """One repository at one revision. Reads are bounded and follow no link out of the repository."""

    @property
    def repo(self) -> RepoSource:
        """Which repository this is."""

    @property
    def commit(self) -> str | None:
        """The commit that the bytes belong to; None for a directory."""

    def read(self, path: str, max_bytes: int) -> bytes:
        """The bytes of the file at `path`.

        Raises:
            MissingFileError: there is no such file.
            FetchError: it could not be read; trying again may help.
            RefusedError: it is not a plain file inside the repository, or larger than `max_bytes`.
        """

    def python_files(self) -> list[str]:
        """Paths of the `.py` files at the top of the repository."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class HubOptions:
    """Download options, as transformers passes them on."""

    cache_dir: str | None = None
    force_download: bool = False
    token: str | bool | None = None
    local_files_only: bool = False


def open_source(repo: RepoSource, revision: str | None = None, options: HubOptions | None = None) -> Source:
    """The source for `repo`, at `revision` if it is a Hub repository."""
    if repo.kind == "local":
        from .local import LocalSource

        return LocalSource(repo)
    from .hub import HubSource

    return HubSource(repo, revision, options or HubOptions())
