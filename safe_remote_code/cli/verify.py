"""`safe-remote-code verify`: is this tree, or the Hub cache, what the lock says? One line a file.

A file is `ok`, `changed`, `missing`, or `added` (the pinned code would import it, and no pin holds it).
The last word is the loader's own proof (`verify.verify`), asked for every module with an approved class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

import click
from rich.text import Text

from ..errors import MissingFileError, NotPinnedError, RefusedError, RemoteCodeError
from ..fetch import fetch, open_source
from ..fetch.entry_points import references
from ..fetch.source import HubOptions
from ..limits import MAX_FILE_BYTES
from ..lockfile import Lock, LockedPackage, read_lock
from ..reference import ModuleRef, RepoSource
from ..report.visible import visible
from ..signing.key_files import load_public
from ..snapshot import sha256_hex
from ..verify import verify as prove
from . import options
from .approvals import meets, signed_by
from .console import Outcome, error_lines, say, tell
from .exits import REFUSED
from .model_signature import trusted_signer, verify_model, verify_whole
from .quoting import command_line

if TYPE_CHECKING:
    from ..fetch import Source
    from ..signing.keys import PublicKey

_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_STYLES: Final = {"ok": "green", "absent": "dim"}


@click.command(short_help="Check files against the lock.")
@options.sources
@options.lockfile
@options.repo_type
@click.option("--key", "keys", multiple=True, type=_FILE, help="A public key; each must have signed.")
@click.option("--trust", metavar="POLICY", help="The trust rules of this policy must be met.")
@click.option("--full", is_flag=True, help="Every file of the model, not only its code.")
@click.option("--signature", type=_FILE, help="Check against this OMS bundle (model.sig) instead of the lock.")
@click.option("--certificate-root", "root", type=_FILE, help="The only roots to believe, in PEM.")
@click.option("--identity", help="Whose certificate: its e-mail, URI, DNS name or common name, or sha256:FINGERPRINT.")
def verify(
    sources: tuple[str, ...], lockfile: Path, repo_type: str, keys: tuple[Path, ...], trust: str | None, full: bool,
    signature: Path | None, root: Path | None, identity: str | None,
) -> int:  # fmt: skip
    """Check each SOURCE against the lock: every pinned file present and equal; with --key or --trust, signed too.

    A Hub repository is looked for in the local cache, at its pinned commit; no server is asked.
    """
    if signature is None and (root or identity):
        raise click.UsageError("--certificate-root and --identity go with --signature")
    if signature is not None and trust is not None:
        raise click.UsageError("--trust judges approvals of the lock, --signature a bundle: give one of them")
    signer = None if signature is None else trusted_signer(keys, root, identity)
    wanted = _Wanted(keys=() if signer else tuple(map(load_public, keys)), trust=trust, full=full)
    outcome = Outcome()
    for location in sources:
        with outcome.each(location):
            repo = options.named(location, repo_type)
            if signature is not None and signer is not None:
                verify_model(repo, lockfile, signature, signer, full=full)
            elif not _verify(repo, location, lockfile, wanted):
                outcome.add(REFUSED)
    return outcome.code


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What more than the pin is asked for."""

    keys: tuple[PublicKey, ...]
    trust: str | None
    full: bool


def _verify(repo: RepoSource, location: str, lockfile: Path, wanted: _Wanted) -> bool:
    lock = read_lock(lockfile)
    pin = command_line(repo, location, lockfile)
    match = _nearest(repo, lock, pin)
    say(Text(visible(f"{repo}: pinned as {match.package.source}, {match.package.digest}"), style="bold"))
    say(_line(status, path) for path, status in match.statuses.items())
    tell(line for error in match.refusals for line in error_lines(error))
    good = _proven(match, pin) and set(match.statuses.values()) <= {"ok", "absent"}
    if good:
        if wanted.keys:
            say(signed_by(match.package, wanted.keys, lockfile))
        if wanted.trust:
            say(meets(match.package, repo, wanted.trust, lockfile))
        if wanted.full:
            verify_whole(repo, match.package)
        say(Text(visible(f"{repo}: verified"), style="green"))
    else:
        say(Text(visible(f"{repo}: NOT the pinned code"), style="bold red"))
        tell(f"  To continue: restore the files, or review the change: {pin} --update")
    return good


def _line(status: str, path: str) -> Text:
    return Text(f"  {status:<9}", style=_STYLES.get(status, "bold red")) + Text(visible(path), style="default")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    """How the files of `source` compare with a pinned package."""

    source: Source
    package: LockedPackage
    statuses: dict[str, str]
    refusals: tuple[RemoteCodeError, ...]

    @property
    def fit(self) -> int:
        return sum(status == "ok" for status in self.statuses.values())


def _nearest(repo: RepoSource, lock: Lock, pin: str) -> _Match:
    """The pinned package that the files fit best: one of the source's own, else one of the same content.

    Raises:
        NotPinnedError: the lock has neither.
    """
    own = lock.of_source(str(repo))
    others = lock.packages if repo.kind == "local" else ()
    matches = [_compare(repo, package) for package in own or others]
    best = max(matches, key=lambda match: match.fit, default=None)
    if best is None or not (own or best.fit):
        raise NotPinnedError("this code is not pinned", subject=str(repo), remedy=pin)
    return best


def _compare(repo: RepoSource, package: LockedPackage) -> _Match:
    # A commit belongs to a Hub repository; the same pin may hold for a directory with its code.
    commit = package.commit if repo.kind == "hub" else None
    source = open_source(repo, commit, HubOptions(local_files_only=True))
    statuses, refusals = {}, []
    for path, digest in sorted(package.files.items()):
        try:
            same = sha256_hex(source.read(path, MAX_FILE_BYTES)) == digest
            statuses[path] = "ok" if same else "changed"
        except MissingFileError:
            # A checkpoint that holds another package's code holds only the files of its own classes.
            statuses[path] = "missing" if package.source == str(repo) else "absent"
        except RefusedError as error:
            statuses[path] = "refused"
            refusals.append(error)
    return _Match(source=source, package=package, statuses=statuses, refusals=tuple(refusals))


def _proven(match: _Match, pin: str) -> bool:
    """Whether the loader's proof holds for every module with an approved class; each failure is told."""
    source, package = match.source, match.package
    told: list[Text] = []
    for entry in _entries(source, package):
        path = f"{entry.rpartition('.')[0]}.py"
        ref = ModuleRef(source=source.repo, path=path, class_name=entry.rpartition(".")[2])
        try:
            prove(fetch(source, [path]), ref, Lock(packages=(package,)), pin_command=pin)
        except MissingFileError:
            continue  # counted as missing, or absent from a checkpoint
        except RemoteCodeError as error:
            line = next(error_lines(error))  # the remedy comes once, at the end
            if line not in told:  # one file that changed fails every module that imports it
                tell(line)
            told.append(line)
    return not told


def _entries(source: Source, package: LockedPackage) -> Iterator[str]:
    """One approved entry point of each module, and whatever the tree's own JSON asks for."""
    modules = {entry.rpartition(".")[0]: entry for entry in package.entry_points}
    yield from sorted(modules.values())
    if source.repo.kind == "local":
        yield from (text for text in references(source) if "--" not in text and text not in modules.values())
