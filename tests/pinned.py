"""Pins for tests: what `safe-remote-code pin` writes, without its words."""

from __future__ import annotations

from pathlib import Path

from safe_remote_code.fetch import open_source
from safe_remote_code.lockfile import LockedPackage, read_lock, write_lock
from safe_remote_code.pinning import locked_package
from safe_remote_code.reference import parse_source


def pin_folder(folder: Path, lockfile: Path, *entries: str, replace: bool = False) -> LockedPackage:
    """Approve the code of `folder`, and the further `entries`, in `lockfile`."""
    package, _ = locked_package(open_source(parse_source(folder)), entries)
    write_lock(read_lock(lockfile).with_package(package, replace_source=replace), lockfile)
    return package
