"""`safe-remote-code pin`: show what the code can do, then write down which bytes were approved.

A pin is identity, not approval of behaviour: code that the policy refuses may be pinned, and is
refused when it is loaded. This module reads and analyses; it cannot guard or execute.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

import click

from ..errors import DigestMismatchError, MissingFileError, RefusedError
from ..fetch.source import HubOptions
from ..limits import MAX_FILE_BYTES
from ..lockfile import Lock, LockedPackage, read_lock, write_lock
from ..pinning import locked_package
from ..policy import load_policy
from ..report import examine
from ..report.text import report
from . import options
from .changes import change_lines, difference
from .console import Outcome, say
from .pinstore import keep
from .quoting import command_line

if TYPE_CHECKING:
    from ..fetch import Source
    from ..policy import Policy
    from ..snapshot import Snapshot


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What the user asked for, for every source alike."""

    lockfile: Path
    policy: Policy
    entries: tuple[str, ...]
    update: bool
    add: bool
    ask: bool
    hub: HubOptions


@click.command(short_help="Show what code can do, then record its bytes in the lock.")
@options.sources
@options.revision_options
@options.lockfile
@options.policy
@click.option("--entry", "entries", multiple=True, metavar="MODULE.CLASS", help="Approve this class as well.")
@click.option("--update", is_flag=True, help="Show what changed since the pin, then replace it.")
@click.option("--add", is_flag=True, help="Keep what is pinned for this source, and approve this content too.")
@click.option("--yes", is_flag=True, help="Do not ask before a pin is replaced or added to (in a terminal only).")
def pin(
    sources: tuple[str, ...], revision: str | None, repo_type: str, local_files_only: bool, lockfile: Path,
    policy: str, entries: tuple[str, ...], update: bool, add: bool, yes: bool,
) -> int:  # fmt: skip
    """Show what the code of each SOURCE can do, and record its bytes in the lock.

    Exits with 0 when the lock holds the code, even if the policy would refuse to load it.
    """
    if update and add:
        raise click.UsageError("--update replaces what is pinned and --add keeps it: give one of them")
    hub = HubOptions(local_files_only=local_files_only)
    request = _Request(lockfile=lockfile, policy=load_policy(policy), entries=_checked(entries),
                       update=update, add=add, ask=not yes and sys.stdin.isatty(), hub=hub)  # fmt: skip
    outcome = Outcome()
    for location in sources:
        with outcome.each(location):
            _pin(options.opened(location, revision, repo_type, local_files_only), location, request)
    return outcome.code


def _checked(entries: Iterable[str]) -> tuple[str, ...]:
    for entry in entries:
        module, dot, name = entry.rpartition(".")
        if not dot or not name.isidentifier() or not all(part.isidentifier() for part in module.split("/")):
            raise click.UsageError(f"--entry is MODULE.CLASS, for example modeling_x.XModel; not {entry!r}")
    return tuple(entries)


def _pin(source: Source, location: str, request: _Request) -> None:
    lock = read_lock(request.lockfile)
    pinned = lock.of_source(str(source.repo))
    extra = (*request.entries, *_kept_entries(source, pinned))
    package, code = locked_package(source, tuple(sorted(set(extra))))
    _check_present(request.entries, code)
    examination = examine(source, request.policy, code)
    say(report(examination, brief=True))
    same = next((other for other in pinned if other.digest == package.digest), None)
    if same is not None and not _grown(same, package, pinned, request):
        keep(code)
        say(f"unchanged: {package.source} is pinned in {request.lockfile} with this very content")
        return
    if pinned and same is None:
        _consent(source, location, pinned, package, code, request)
    _write(lock, package, code, request)
    if examination.of_standing("refused"):
        say(f"note: a pin says which bytes, not that they may run: policy {request.policy.name} refuses this code")


def _grown(same: LockedPackage, package: LockedPackage, pinned: tuple[LockedPackage, ...], request: _Request) -> bool:
    """Whether there is something to write although the content is a pinned one."""
    moved = request.update and (same.commit != package.commit or len(pinned) > 1)
    return moved or not set(package.entry_points) <= set(same.entry_points)


def _kept_entries(source: Source, pinned: tuple[LockedPackage, ...]) -> list[str]:
    """Entry points that were approved before and still are in their file: an update does not drop them."""
    kept, texts = [], dict[str, bytes]()
    for entry in sorted({entry for package in pinned for entry in package.entry_points}):
        module, _, name = entry.rpartition(".")
        if module not in texts:
            texts[module] = _read(source, f"{module}.py")
        if name.encode() in texts[module]:
            kept.append(entry)
    return kept


def _read(source: Source, path: str) -> bytes:
    try:
        return source.read(path, MAX_FILE_BYTES)
    except MissingFileError:
        return b""


def _check_present(entries: tuple[str, ...], code: Snapshot) -> None:
    """Raise if an entry that the user typed names nothing.

    Raises:
        RefusedError: its file does not even hold the name.
    """
    for entry in entries:
        module, _, name = entry.rpartition(".")
        text = code[f"{module}.py"].text
        if name not in text and "import *" not in text:
            raise RefusedError(f"--entry {entry}: {module}.py holds no {name}", remedy="check the spelling")


def _consent(
    source: Source, location: str, pinned: tuple[LockedPackage, ...], package: LockedPackage, code: Snapshot,
    request: _Request,
) -> None:  # fmt: skip
    """Show the change; without --update or --add, refuse it.

    Raises:
        DigestMismatchError: the source is pinned with other content.
    """
    nearest = max(pinned, key=lambda old: sum(old.files.get(path) == sha for path, sha in package.files.items()))
    if request.update or request.add:
        say(change_lines(nearest, package, code, source, request.hub))
        if request.ask and not click.confirm("Approve this content?"):
            raise RefusedError("not approved; the lock is as it was", subject=package.source)
        return
    update = command_line(source.repo, location, request.lockfile, "--update")
    raise DigestMismatchError(
        f"already pinned in {request.lockfile} with other content: {difference(nearest, package)}",
        subject=package.source,
        remedy=f"see the change and replace the pin: {update}\n  or keep both: the same with --add",
    )


def _write(lock: Lock, package: LockedPackage, code: Snapshot, request: _Request) -> None:
    keep(code)
    write_lock(lock.with_package(package, replace_source=request.update), request.lockfile)
    at = f" @ {package.commit}" if package.commit else ""
    say(f"pinned: {package.source}{at} in {request.lockfile}, {package.digest}")
