"""A Hub repository as a source, through the ordinary `huggingface_hub` client and its cache.

Rules: the revision is resolved to a commit by the first file, and every other file is asked for by
that commit, so that a branch which moves between two requests cannot mix two versions. Content is
believed only by its hash, later; this stage just brings bytes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, final

from ..errors import FetchError, MissingFileError
from ..reference import check_path, is_commit
from .local import read_regular_file

if TYPE_CHECKING:
    from ..reference import RepoSource
    from .source import HubOptions


@final
class HubSource:
    """`Source` over a Hub repository."""

    def __init__(self, repo: RepoSource, revision: str | None, options: HubOptions) -> None:
        self.repo = repo
        # transformers 5 passes a str subclass that remembers the branch it was resolved from.
        self._revision = str(getattr(revision, "resolved", None) or revision or "main")
        self._options = options
        self.commit: str | None = self._revision if is_commit(self._revision) else None

    def read(self, path: str, max_bytes: int) -> bytes:
        """See `Source.read`."""
        place = self._download(check_path(path))
        snapshot_folder = place[: -len(path) - 1]
        if self.commit is None and is_commit(os.path.basename(snapshot_folder)):
            self.commit = os.path.basename(snapshot_folder)
        repo_folder = os.path.dirname(os.path.dirname(snapshot_folder))
        return read_regular_file(place, max_bytes, (os.path.realpath(repo_folder),), f"{self.repo}/{path}")

    def _download(self, path: str) -> str:
        from huggingface_hub import errors as hub
        from huggingface_hub import hf_hub_download

        options = self._options
        subject = f"{self.repo}@{self._revision}/{path}"
        if self._known_missing(path):
            raise MissingFileError("no such file in the repository", subject=subject)
        try:
            downloaded: str = hf_hub_download(
                self.repo.location,
                path,
                repo_type=self.repo.repo_type,
                revision=self.commit or self._revision,
                cache_dir=options.cache_dir,
                force_download=options.force_download,
                token=options.token,
                local_files_only=options.local_files_only,
            )
            return downloaded
        except hub.LocalEntryNotFoundError as error:
            if self._is_known_absent(path):
                raise MissingFileError("no such file in the repository", subject=subject) from error
            raise FetchError(
                "not in the local cache, and the Hub cannot be asked", subject=subject,
                remedy="download it while online, or check HF_HUB_OFFLINE and the network",
            ) from error  # fmt: skip
        except hub.EntryNotFoundError as error:
            raise MissingFileError("no such file in the repository", subject=subject) from error
        except hub.GatedRepoError as error:
            raise FetchError("the repository is gated", subject=subject,
                             remedy="accept its terms on the Hub and pass a token") from error  # fmt: skip
        except hub.RevisionNotFoundError as error:
            raise FetchError("no such revision", subject=subject, remedy="check the revision") from error
        except hub.RepositoryNotFoundError as error:
            raise FetchError("no such repository, or it is private", subject=subject,
                             remedy="check its name, or pass a token") from error  # fmt: skip
        except Exception as error:  # the client lets errors of several HTTP libraries through
            raise FetchError(f"download failed: {type(error).__name__}: {error}", subject=subject,
                             remedy="try again") from error  # fmt: skip

    def _known_missing(self, path: str) -> bool:
        """Whether the Hub said before that this commit, which cannot change, has no such file."""
        from huggingface_hub import _CACHED_NO_EXIST, try_to_load_from_cache

        if self.commit is None or self._options.force_download:
            return False
        known = try_to_load_from_cache(
            self.repo.location, path, cache_dir=self._options.cache_dir, revision=self.commit,
            repo_type=self.repo.repo_type,
        )  # fmt: skip
        return known is _CACHED_NO_EXIST

    def _is_known_absent(self, path: str) -> bool:
        """Whether the cache remembers that the repository has no such file."""
        from huggingface_hub import _CACHED_NO_EXIST, try_to_load_from_cache

        known = try_to_load_from_cache(
            self.repo.location,
            path,
            cache_dir=self._options.cache_dir,
            revision=self.commit or self._revision,
            repo_type=self.repo.repo_type,
        )
        return known is _CACHED_NO_EXIST

    def python_files(self) -> list[str]:
        """See `Source.python_files`."""
        from huggingface_hub import HfApi

        if self._options.local_files_only:
            raise FetchError("names no class in its JSON, and the Hub may not be asked which files it has",
                             subject=str(self.repo), remedy="name the class with --entry, or go online")  # fmt: skip
        try:
            paths = HfApi(token=self._options.token).list_repo_files(
                self.repo.location, revision=self.commit or self._revision, repo_type=self.repo.repo_type
            )
        except Exception as error:  # as above
            raise FetchError(f"cannot be listed: {error}", subject=str(self.repo), remedy="try again") from error
        return sorted(path for path in paths if path.endswith(".py") and "/" not in path)


def cached_snapshot(repo: RepoSource, commit: str | None, cache_dir: str | None = None) -> str:
    """The folder of the Hub cache that holds `repo` at `commit` (None: what `main` was when last asked).

    Raises:
        FetchError: it was never downloaded.
    """
    from huggingface_hub import constants

    name = "--".join([f"{repo.repo_type}s", *repo.location.split("/")])
    home = os.path.join(cache_dir or constants.HF_HUB_CACHE, name)
    if commit is None:
        try:
            with open(os.path.join(home, "refs", "main"), encoding="ascii") as stream:
                commit = stream.read(64).strip()
        except (OSError, ValueError):
            commit = ""
    folder = os.path.join(home, "snapshots", commit)
    if not is_commit(commit) or not os.path.isdir(folder):
        raise FetchError("not in the local cache", subject=str(repo), remedy="download it first: hf download")
    return folder
