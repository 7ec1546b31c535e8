"""What there is to pin: the code that a repository offers, as a lock entry.

Reads and analyses; it cannot guard or execute, and so serves the command line on unverified code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .analyse import analyse
from .errors import RefusedError
from .fetch import fetch
from .fetch.entry_points import offered_entries, offers
from .lockfile import LockedPackage, is_source

if TYPE_CHECKING:
    from .fetch import Source
    from .snapshot import Snapshot


def entry_roots(source: Source) -> tuple[list[str], list[str]]:
    """Files and entry points (`module.Class`) that the repository offers; all its modules if it names none.

    Its JSON may name files that are not there.
    """
    own = {offer.reference: offer.path for offer in offers(source) if offer.path is not None}
    return sorted(set(own.values()) or source.python_files()), sorted(own)


def package_snapshot(source: Source, extra: tuple[str, ...] = ()) -> Snapshot:
    """The snapshot of everything that the repository offers to load and holds, plus the files `extra`.

    Raises:
        RefusedError, FetchError: as `fetch`; or there is no Python file.
    """
    named = {offer.path: str(offer) for offer in offers(source) if offer.path is not None}
    return fetch(source, sorted({*extra, *(() if named else source.python_files())}), named)


def locked_package(source: Source, extra_entries: tuple[str, ...] = ()) -> tuple[LockedPackage, Snapshot]:
    """The lock entry for the code of `source` as it is now, and the snapshot that it speaks of.

    Raises:
        RefusedError, FetchError: the code could not be read, or there is none.
    """
    if not is_source(str(source.repo)):
        why = "a lock cannot hold this name: it has bytes that are not UTF-8, or control characters"
        raise RefusedError(why, subject=str(source.repo), remedy="rename the directory")
    extra_paths = tuple(f"{entry.rpartition('.')[0]}.py" for entry in extra_entries)
    whole = package_snapshot(source, extra_paths)
    paths, own = entry_roots(source)
    # What JSON names and the repository does not hold is not approved: whoever adds the file needs a new pin.
    present = {*extra_paths, *(path for path in paths if path in whole)}
    named = {entry for entry in own if f"{entry.rpartition('.')[0]}.py" in whole}
    entries = {*named, *extra_entries, *offered_entries(whole, present)}
    package = LockedPackage(
        source=str(source.repo),
        commit=source.commit,
        files=whole.manifest,
        entry_points=tuple(sorted(entries)),
        capabilities=analyse(whole).capabilities,
    )
    return package, whole
