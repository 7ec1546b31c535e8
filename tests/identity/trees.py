"""Pinned copies of the fixture models, and loading from them through every wall. Nothing here needs torch:
`load_package` verifies, analyses and compiles, and no module runs before somebody asks for it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import final

from pinned import pin_folder
from safe_remote_code.errors import RemoteCodeError
from safe_remote_code.lockfile import LockedPackage
from safe_remote_code.pipeline import load_package
from safe_remote_code.reference import parse

MODELS = Path(__file__).resolve().parents[2] / "fixtures" / "models"
NAMES = ("decoder", "encoder", "vision_language")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A folder whose code is pinned as `package` in `lockfile`."""

    folder: Path
    lockfile: Path
    package: LockedPackage

    def load(self, entry: str) -> dict[str, bytes]:
        """What the loader would run for `entry`: the bytes of each admitted module."""
        loaded = load_package(parse(entry, self.folder), lockfile=self.lockfile)
        return {path: module.file.data for path, module in loaded.modules.items()}

    def outcomes(self) -> dict[str, dict[str, bytes] | RemoteCodeError]:
        """What each approved entry point comes to: modules, or a refusal."""
        found: dict[str, dict[str, bytes] | RemoteCodeError] = {}
        for entry in sorted({entry.rpartition(".")[0]: entry for entry in self.package.entry_points}.values()):
            try:
                found[entry] = self.load(entry)
            except RemoteCodeError as error:
                found[entry] = error
        return found

    def assert_only_pinned_bytes(self) -> int:
        """Nothing loads but pinned bytes; the number of entry points that were refused."""
        from safe_remote_code.snapshot import sha256_hex

        refused = 0
        for outcome in self.outcomes().values():
            if isinstance(outcome, RemoteCodeError):
                refused += 1
                continue
            for path, data in outcome.items():
                assert self.package.files[path] == sha256_hex(data), path
        return refused


def pinned_copy(name: str, tmp_path: Path) -> Tree:
    """A copy of the fixture `name`, pinned in a lock of its own."""
    folder = tmp_path / name
    shutil.copytree(MODELS / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return pinned(folder)


def pinned(folder: Path) -> Tree:
    """`folder`, pinned in a lock of its own beside it."""
    lockfile = folder.parent / "remote-code.lock"
    return Tree(folder=folder, lockfile=lockfile, package=pin_folder(folder, lockfile))
