"""Sets of audits of other projects, pinned here and read offline.

The text of a set lies in `peers/NAME.toml` beside the store, readable and reviewable; the store holds its
SHA-256 and the signatures. What a peer forbids counts whoever signed it; what it clears counts only
while enough of its keys do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from ..atomic import write_atomically
from ..documents import read_bytes
from ..errors import DocumentError, SignatureError
from ..signing import dsse
from ..signing.times import parse_time
from ..snapshot import sha256_hex
from .document import parse_set
from .records import Audit, Import, Violation
from .signed import SET_TYPE, counted_keys, signatures_of, signers_of_set
from .store import AuditSet, AuditStore

if TYPE_CHECKING:
    from ..signing.keys import PublicKey

_FOLDER: Final = "peers"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A pinned set. `refused`: why its audits count for nothing (its violations always count); empty if they do."""

    pinned: Import
    shared: AuditSet
    refused: str = ""

    def __post_init__(self) -> None:
        if any(pair[0] not in _criteria(self.shared) for pair in self.pinned.map):
            raise ValueError("the map renames a criterion that the set does not know")


def _criteria(shared: AuditSet) -> set[str]:
    return {item.name for item in shared.criteria} | {name for audit in shared.audits for name in audit.criteria}


def set_path(store: Path, name: str) -> Path:
    """Where the set of the peer `name` lies: in the folder beside `store` that is named after it."""
    return store.with_suffix("") / _FOLDER / f"{name}.toml"


def read_peers(store: AuditStore, path: Path) -> tuple[Peer, ...]:
    """The sets that `store`, which lies at `path`, imports.

    Raises:
        DocumentError: a set is absent, or is not the one that was imported.
        SignatureError: a key in the store is none.
    """
    return tuple(_read_peer(store, item, set_path(path, item.name)) for item in store.imports)


def _read_peer(store: AuditStore, item: Import, path: Path) -> Peer:
    data = read_bytes(path)
    if f"sha256:{sha256_hex(data)}" != item.digest:
        again = f"safe-remote-code audits import {item.name} {item.origin}"
        raise DocumentError("not the set that was imported", subject=str(path), remedy=f"restore it, or: {again}")
    count = len(signers_of_set(data, item.signatures, counted_keys(store.keys, item.name)))
    refused = "" if count >= item.threshold else f"signed by {count} keys that count, of {item.threshold} needed"
    try:
        return Peer(pinned=item, shared=parse_set(data, str(path)), refused=refused)
    except ValueError as error:
        raise DocumentError(str(error), subject=str(path), remedy="correct the map of the import") from None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A set as its publisher signed it, verified: at least `threshold` of the given keys signed `payload`."""

    payload: bytes
    shared: AuditSet
    pinned: Import


def open_set(
    envelope: bytes, name: str, origin: str, keys: Iterable[PublicKey], threshold: int,
    renamed: Mapping[str, str],
) -> Published:  # fmt: skip
    """The set in `envelope`.

    Raises:
        SignatureError: not enough of `keys` signed it. DocumentError: what they signed is malformed.
    """
    try:
        verified = dsse.verify(envelope, SET_TYPE, keys, threshold)
    except SignatureError as error:
        raise SignatureError(error.message, subject=origin, remedy=error.remedy) from None
    shared = parse_set(verified.payload, origin)
    parse_time(shared.issued, origin)
    signatures = tuple(item for item in signatures_of(envelope) if item.key in verified.key_ids)
    try:
        pinned = Import(name=name, origin=origin, digest=f"sha256:{sha256_hex(verified.payload)}", threshold=threshold,
                        signatures=signatures, map=tuple(renamed.items()))  # fmt: skip
        return Published(payload=verified.payload, shared=Peer(pinned=pinned, shared=shared).shared, pinned=pinned)
    except ValueError as error:
        raise DocumentError(str(error), subject=origin, remedy="see the set and the options of the import") from None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SetChange:
    """What a newer set of a peer says more, and what it no longer says."""

    added: tuple[Audit | Violation, ...]
    removed: tuple[Audit | Violation, ...]


def change_of_set(old: AuditSet, new: AuditSet, origin: str) -> SetChange:
    """From `old` to `new`.

    Raises:
        SignatureError: `new` is older than `old`: a rollback, which would bring back what was taken back.
    """
    if parse_time(new.issued, origin) < parse_time(old.issued, origin):
        raise SignatureError(f"issued {new.issued}, before the set that is imported ({old.issued})", subject=origin,
                             remedy="ask the peer; an older set must not replace a newer one")  # fmt: skip
    before, after = (_said(item) for item in (old, new))
    return SetChange(
        added=tuple(after[key] for key in sorted(after.keys() - before.keys(), key=repr)),
        removed=tuple(before[key] for key in sorted(before.keys() - after.keys(), key=repr)),
    )


def _said(shared: AuditSet) -> dict[object, Audit | Violation]:
    found: dict[object, Audit | Violation] = {audit.said: audit for audit in shared.audits}
    return found | {item: item for item in shared.violations}


def write_set(published: Published, path: Path) -> None:
    """Pin `published` at `path`.

    Raises:
        DocumentError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DocumentError(f"cannot be made: {error.strerror or error}", subject=str(path.parent)) from None
    write_atomically(path, published.payload)
