"""Command lines that a person can paste, for the remedies of messages."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ..lockfile import DEFAULT_LOCKFILE

if TYPE_CHECKING:
    from ..reference import RepoSource


def command_line(repo: RepoSource, location: str, lockfile: Path, *more: str) -> str:
    """`safe-remote-code pin` for `repo`, as the user spelt its `location`, quoted for a POSIX shell."""
    words = ["safe-remote-code", "pin", location]
    if repo.repo_type != "model":
        words += ["--repo-type", repo.repo_type]
    if str(lockfile) != DEFAULT_LOCKFILE:
        words += ["--lockfile", str(lockfile)]
    return shlex.join([*words, *more])
