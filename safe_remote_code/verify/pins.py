"""Pins: a snapshot is verified if one locked package holds every file of it, byte for byte.

Approval is by content and not by name: a Trainer checkpoint, or a copy of the repository in another
folder, holds the same code and loads under the same pin.

Proof, whose numbers the code repeats:

1. the lock has a package with each path of the snapshot, at the same SHA-256;
2. nothing that the code could import from that package is missing here (a removed file changes
   what `try: from .x import y` does);
3. the entry point is one that was approved for that package.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from ..errors import DigestMismatchError, NotPinnedError, RefusedError
from ..relative_imports import imports_of

if TYPE_CHECKING:
    from ..lockfile import Lock, LockedPackage
    from ..reference import ModuleRef
    from ..snapshot import Snapshot
    from .trust import MetRule


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedSnapshot:
    """A snapshot with the evidence that it was approved.

    `package` is the locked package that holds it; None only if the policy switched the identity
    wall off, and then `unsafe_unpinned` is the digest of all code of the repository. `approved` tells how
    each trust rule of the policy about it is met.
    """

    snapshot: Snapshot
    package: LockedPackage | None
    unsafe_unpinned: str = ""
    approved: tuple[MetRule, ...] = ()

    def __post_init__(self) -> None:
        if self.package is None:
            if not self.unsafe_unpinned:
                raise ValueError("a verified snapshot has a pin")
        elif not _holds(self.package, self.snapshot):
            raise DigestMismatchError("the pin is of other bytes", subject=self.package.source)
        elif any((rule.source, rule.digest) != (self.package.source, self.package.digest) for rule in self.approved):
            raise ValueError("an approval of another package")

    @property
    def package_digest(self) -> str:
        """Digest of the whole package that this snapshot is a part of."""
        return self.package.digest if self.package is not None else self.unsafe_unpinned


def _holds(package: LockedPackage, snapshot: Snapshot) -> bool:
    return all(package.files.get(path) == digest for path, digest in snapshot.manifest.items())


def _missing(package: LockedPackage, snapshot: Snapshot) -> list[str]:
    """Files of `package` that the code of `snapshot` can import and that are not there."""
    missing: set[str] = set()
    for file in snapshot.files:
        try:
            wanted = imports_of(file.text, file.path)
        except RefusedError:
            continue  # not Python: the analysis refuses it
        paths = {path for item in wanted for path in item.paths}
        missing |= {path for path in paths if path in package.files and path not in snapshot}
    return sorted(missing)


def verify(snapshot: Snapshot, ref: ModuleRef, lock: Lock, *, pin_command: str) -> VerifiedSnapshot:
    """`snapshot` with the locked package that approves it.

    Raises:
        NotPinnedError: the lock knows nothing of this code; `pin_command` is the remedy.
        DigestMismatchError: the lock has this source, with other bytes.
    """
    source = str(ref.source)
    ranked = sorted(lock.packages, key=lambda package: package.source != source)
    holding = [package for package in ranked if _holds(package, snapshot)]  # 1
    whole = [package for package in holding if not _missing(package, snapshot)]  # 2
    for package in whole:
        if _approves(package, ref):  # 3
            return VerifiedSnapshot(snapshot=snapshot, package=package)
    if whole:
        raise NotPinnedError(
            f"{ref.entry_point} is not an approved entry point of this code", subject=source,
            remedy=f"{pin_command} --entry {ref.entry_point}",
        )  # fmt: skip
    if holding:
        gone = ", ".join(_missing(holding[0], snapshot))
        raise DigestMismatchError(f"pinned files are missing: {gone}", subject=source, remedy="restore the repository")
    pinned = lock.of_source(source)
    if pinned:
        raise DigestMismatchError(
            f"the code is not the pinned one: {_difference(pinned, snapshot)}", subject=source,
            remedy=f"review the change: {pin_command} --update",
        )  # fmt: skip
    raise NotPinnedError("this code is not pinned", subject=source, remedy=pin_command)


def _approves(package: LockedPackage, ref: ModuleRef) -> bool:
    if ref.class_name == ref.ANY:
        return any(entry.rpartition(".")[0] == ref.path.removesuffix(".py") for entry in package.entry_points)
    return ref.entry_point in package.entry_points


def _difference(pinned: tuple[LockedPackage, ...], snapshot: Snapshot) -> str:
    manifest = snapshot.manifest
    nearest = max(
        pinned, key=lambda package: sum(package.files.get(path) == digest for path, digest in manifest.items())
    )
    changed = sorted(path for path, digest in manifest.items() if nearest.files.get(path, digest) != digest)
    added = sorted(set(manifest) - set(nearest.files))
    parts = [f"changed {', '.join(changed)}"] if changed else []
    parts += [f"added {', '.join(added)}"] if added else []
    return "; ".join(parts)
