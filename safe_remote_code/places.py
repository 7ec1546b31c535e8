"""Where this package keeps files of its own, given the environment, and where Python keeps its."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Final


def cache_home(environment: Mapping[str, str]) -> Path:
    """`$XDG_CACHE_HOME`, or `~/.cache` (XDG Base Directory Specification)."""
    return Path(environment.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"))


def source_folder(digest: str, environment: Mapping[str, str]) -> Path:
    """Where the verified text of the package `digest` is laid out."""
    return cache_home(environment) / "safe-remote-code" / "sources" / digest.removeprefix("sha256:")


def _python_folders() -> tuple[str, ...]:
    """Folders of the interpreter and its installed packages; their files are no secret."""
    paths = {*sysconfig.get_paths().values(), *(path for path in sys.path if path), sys.prefix, sys.base_prefix}
    inside = {
        path
        for path in paths
        if "site-packages" in path or "dist-packages" in path or path.startswith((sys.prefix, sys.base_prefix))
    }
    return tuple(path for path in inside if path not in ("/", "/usr"))


#: Real paths, each with a slash behind it.
PYTHON_FOLDERS: Final = tuple(f"{os.path.realpath(path)}/" for path in _python_folders())
#: And as `__file__` of a module spells them, where links lead there.
PYTHON_FOLDERS_AS_SPELLED: Final = (*PYTHON_FOLDERS, *(f"{path.rstrip('/')}/" for path in _python_folders()))
