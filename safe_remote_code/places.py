"""Where this package keeps files of its own, given the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def cache_home(environment: Mapping[str, str]) -> Path:
    """`$XDG_CACHE_HOME`, or `~/.cache` (XDG Base Directory Specification)."""
    return Path(environment.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"))


def source_folder(digest: str, environment: Mapping[str, str]) -> Path:
    """Where the verified text of the package `digest` is laid out."""
    return cache_home(environment) / "safe-remote-code" / "sources" / digest.removeprefix("sha256:")
