"""What the commands about reviews share: the store, the lock, the peers, and today."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, final

import click

from ..audits.clearing import Ledger, ledger
from ..audits.document import read_store
from ..audits.peers import Peer, read_peers
from ..audits.store import DEFAULT_STORE, AuditStore
from ..audits.writing import write_store
from ..errors import MissingFileError, RefusedError
from ..fetch.source import HubOptions
from ..limits import MAX_FILE_BYTES
from ..lockfile import DEFAULT_LOCKFILE, Lock, LockedPackage, read_lock
from ..pinning import locked_package
from . import options
from .console import tell
from .texts import Texts, place_of

if TYPE_CHECKING:
    from ..fetch import Source
    from ..snapshot import Snapshot

_Command = TypeVar("_Command", bound=Callable[..., Any])
store_option = click.option(
    "--store", "store_path", type=click.Path(dir_okay=False, path_type=Path), default=DEFAULT_STORE,
    show_default=True, help="The audit store of this project.",
)  # fmt: skip


def store_options(command: _Command) -> _Command:
    """`--store` and `--lockfile`."""
    return store_option(options.lockfile(command))


def today() -> datetime.date:
    """The day, in UTC, so that two machines of a team agree."""
    return datetime.datetime.now(datetime.UTC).date()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """The store at `store_path` as it was read, with the lock and the pinned sets of its peers."""

    store_path: Path
    store: AuditStore
    lockfile: Path
    lock: Lock
    peers: tuple[Peer, ...] = field(repr=False)

    def ledger(self) -> Ledger:
        """What counts today."""
        return ledger(self.store, self.peers, today())

    def texts(self, hub: HubOptions, *sources: Source) -> Texts:
        """Reviewed text, by digest; `sources` are looked at as well."""
        return Texts(self.store_path, self.store, self.lock, self.lockfile, hub, sources)

    def current(self, source: Source) -> tuple[LockedPackage, Snapshot]:
        """The code of `source` as it is now, with the classes that the lock approves."""
        pinned = self.lock.of_source(str(source.repo))
        entries = sorted({entry for package in pinned for entry in package.entry_points})
        present = [entry for entry in entries if _has(source, f"{entry.rpartition('.')[0]}.py")]
        return locked_package(source, tuple(present))

    def save(self, **fields: object) -> None:
        """Write the store with `fields` replaced.

        Raises:
            RefusedError: the new record contradicts the store. DocumentError: it cannot be written.
        """
        write_store(changed(self.store, self.store_path, **fields), self.store_path)

    def line(self, command: str, *more: str) -> str:
        """A command line about this store, quoted for a POSIX shell."""
        words = ["--store", str(self.store_path)] if str(self.store_path) != DEFAULT_STORE else []
        return shlex.join(["safe-remote-code", command, *more, *words, *self._lockfile()])

    def command(self, command: str, package: LockedPackage, *more: str) -> str:
        """A command line about the code of `package`."""
        return self.line(command, *self._location(package), *more)

    def pin_command(self, package: LockedPackage) -> str:
        """The command line that pins the code of `package` as it is now."""
        return shlex.join(["safe-remote-code", "pin", *self._location(package), "--update", *self._lockfile()])

    def _location(self, package: LockedPackage) -> list[str]:
        place = place_of(package, self.lockfile.parent)
        if place is None or place.kind == "local":
            return [str(self.lockfile.parent / package.source.removeprefix("local:"))]
        words = [place.location]
        words += ["--repo-type", place.repo_type] if place.repo_type != "model" else []
        return words + (["--revision", package.commit] if package.commit else [])

    def _lockfile(self) -> list[str]:
        return ["--lockfile", str(self.lockfile)] if str(self.lockfile) != DEFAULT_LOCKFILE else []


def _has(source: Source, path: str) -> bool:
    try:
        source.read(path, MAX_FILE_BYTES)
    except MissingFileError:
        return False
    return True


def changed(store: AuditStore, path: Path, **fields: object) -> AuditStore:
    """`store` with `fields` replaced.

    Raises:
        RefusedError: that would contradict itself.
    """
    try:
        return replace(store, **fields)  # type: ignore[arg-type]  # the constructor checks every field
    except ValueError as error:
        raise RefusedError(str(error), subject=str(path), remedy="see the file; nothing was written") from None


def open_workbench(store_path: Path, lockfile: Path) -> Workbench:
    """Read everything; a peer whose set does not count is told.

    Raises:
        DocumentError: a document is absent or malformed. SignatureError: a key in the store is none.
    """
    store = read_store(store_path)
    peers = read_peers(store, store_path)
    for peer in peers:
        if peer.refused:
            tell(f"warning: the audits of {peer.pinned.name} count for nothing: {peer.refused}; its violations count")
    return Workbench(store_path=store_path, store=store, lockfile=lockfile, lock=read_lock(lockfile), peers=peers)


def criteria_of(text: tuple[str, ...], store: AuditStore) -> tuple[str, ...]:
    """The criteria that the user named, else those that the store requires."""
    return tuple(sorted(set(text))) or store.required


def full_digest(prefix: str, known: set[str]) -> str:
    """The one digest of `known` that begins with `prefix` (with or without `sha256:`).

    Raises:
        RefusedError: none does, or several do.
    """
    wanted = f"sha256:{prefix.removeprefix('sha256:')}"
    found = sorted(digest for digest in known if digest.startswith(wanted))
    if len(found) == 1:
        return found[0]
    what = "no content that a record speaks of" if not found else "several contents"
    raise RefusedError(f"{what} has a digest that begins so", subject=prefix[:80],
                       remedy="give the whole digest, as suggest prints it")  # fmt: skip


def parse_day(text: str | None, option: str) -> datetime.date | None:
    """A date option.

    Raises:
        click.UsageError: not YYYY-MM-DD.
    """
    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"{option} is a day such as 2027-01-31, not {text!r}") from None
