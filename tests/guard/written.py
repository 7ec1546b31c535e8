"""A repository of one module that a test wrote, loaded through every wall."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from pinned import pin_folder
from safe_remote_code.pipeline import load_package
from safe_remote_code.reference import parse


def written(folder: Path, text: str) -> Any:
    """The module of that text, under the policy `default`."""
    repo, lockfile = folder / "repo", folder / "remote-code.lock"
    repo.mkdir()
    (repo / "main.py").write_text(textwrap.dedent(text) + "\n\nclass Main:\n    pass\n", encoding="utf-8")
    pin_folder(repo, lockfile)
    return load_package(parse("main.Main", repo), policy="default", lockfile=lockfile).module("main.py")
