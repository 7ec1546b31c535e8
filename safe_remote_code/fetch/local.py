"""A local directory as a source.

Rules: only regular files are read, each once, bounded. A symbolic link may lead inside the
directory, or into `blobs/` of a Hub cache (whose snapshot folders are made of such links), and
nowhere else.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, final

from ..errors import FetchError, MissingFileError, RefusedError
from ..reference import check_path

if TYPE_CHECKING:
    from ..reference import RepoSource


def read_regular_file(path: str, max_bytes: int, roots: tuple[str, ...], subject: str) -> bytes:
    """The bytes of the regular file at `path`, whose real place is below one of `roots` (real paths).

    Raises:
        MissingFileError, FetchError, RefusedError: as `Source.read`.
    """
    real = os.path.realpath(path)
    if not any(real.startswith(root.rstrip(os.sep) + os.sep) for root in roots):
        raise RefusedError("a link that leads out of the repository", subject=subject)
    try:
        # The real path holds no link any more; O_NOFOLLOW keeps a last-moment swap from adding one.
        descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise MissingFileError("no such file", subject=subject) from None
    except OSError as error:
        raise FetchError(f"cannot be read: {error.strerror}", subject=subject) from None
    try:
        # Before it becomes a stream: `os.fdopen` raises its own OSError for a directory, which callers would swallow.
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise RefusedError("not a regular file", subject=subject)
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            data = stream.read(max_bytes + 1)
    except OSError as error:
        raise FetchError(f"cannot be read: {error.strerror}", subject=subject) from None
    finally:
        os.close(descriptor)
    if len(data) > max_bytes:
        raise RefusedError(f"larger than {max_bytes} bytes", subject=subject)
    return data


def allowed_roots(directory: str) -> tuple[str, ...]:
    """Real folders in which files of `directory` may lie."""
    real = os.path.realpath(directory)
    roots = [real]
    # .../models--owner--name/snapshots/<commit> is a folder of links into .../blobs
    repo_folder, snapshots = os.path.split(os.path.dirname(real))
    blobs = os.path.join(repo_folder, "blobs")
    if snapshots == "snapshots" and os.path.isdir(blobs) and os.path.realpath(blobs) == blobs:  # no link to elsewhere
        roots.append(blobs)
    return tuple(roots)


@final
class LocalSource:
    """`Source` over a directory."""

    def __init__(self, repo: RepoSource) -> None:
        self.repo = repo
        self.commit: str | None = None
        self._roots = allowed_roots(repo.location)

    def read(self, path: str, max_bytes: int) -> bytes:
        """See `Source.read`."""
        full = os.path.join(self.repo.location, check_path(path))
        return read_regular_file(full, max_bytes, self._roots, f"{self.repo}/{path}")

    def python_files(self) -> list[str]:
        """See `Source.python_files`."""
        try:
            names = os.listdir(self.repo.location)
        except OSError as error:
            raise FetchError(f"cannot be listed: {error.strerror}", subject=str(self.repo)) from None
        return sorted(name for name in names if name.endswith(".py"))
