"""`safe-remote-code sign`: say, with a key, that what the lock holds is approved; or sign a whole model (OMS)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

import click

from ..errors import NotPinnedError, RemoteCodeError
from ..lockfile import Lock, LockedPackage, read_lock
from ..signing import dsse
from ..signing.approval import Approval, parse_approval
from ..signing.ssh import NAMESPACE
from ..signing.statements import PAYLOAD_TYPE
from ..signing.store import package_folder, read_signatures, signature_folder, write_file
from ..signing.strict_json import from_base64, read_object, text_of
from ..signing.times import format_time
from . import options
from .console import Outcome, say, tell
from .model_signature import sign_model
from .passwords import opened_key

if TYPE_CHECKING:
    from ..signing.keys import PrivateKey

_MAX_DAYS: Final = 3650


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What the user asked for, for every package alike."""

    lockfile: Path
    version: int | None
    days: int
    key: PrivateKey | None
    ssh_name: str


@click.command(short_help="Approve what the lock holds, with a key.")
@options.sources
@options.lockfile
@options.repo_type
@click.option("--key", "key_path", type=click.Path(path_type=Path, dir_okay=False), help="Your private key (PEM).")
@options.password_file
@click.option("--version", type=click.IntRange(1), help="Version of this approval  [default: the next one]")
@click.option("--days", type=click.IntRange(1, _MAX_DAYS), default=365, show_default=True, help="How long it holds.")
@click.option("--ssh", "ssh_name", default="", metavar="NAME", help="Write NAME.statement.json for ssh-keygen to sign.")
@click.option("--oms", is_flag=True, help="Sign every file of the folder SOURCE, as the model_signing tool does.")
@click.option("--certificate", type=click.Path(path_type=Path, dir_okay=False), help="For --oms: the key's chain, PEM.")
@click.option("--signature", type=click.Path(path_type=Path, dir_okay=False), help="Where --oms writes the bundle.")
def sign(
    sources: tuple[str, ...], lockfile: Path, repo_type: str, key_path: Path | None, password_file: Path | None,
    version: int | None, days: int, ssh_name: str, oms: bool, certificate: Path | None,
    signature: Path | None,
) -> int:  # fmt: skip
    """Approve the pinned code of each SOURCE (or of a whole lock file) with --key.

    The approval names source, commit, content, entry points, capabilities, version and expiry, and is kept in
    remote-code.signatures/ beside the lock.
    """
    one_key, whole = (key_path is None) == bool(ssh_name), oms and key_path is not None
    if not one_key or oms != (signature is not None) or oms != whole or (certificate is not None and not oms):
        raise click.UsageError("give --key KEY, or --ssh NAME; with --oms, --key KEY and --signature FILE")
    key = None if key_path is None else opened_key(key_path, password_file)
    if oms and signature is not None and key is not None:
        if len(sources) != 1:
            raise click.UsageError("--oms signs one folder")
        sign_model(sources[0], key, signature, certificate)
        return 0
    request = _Request(lockfile=lockfile, version=version, days=days, key=key, ssh_name=ssh_name)
    outcome = Outcome()
    for location in sources:
        with outcome.each(location):
            for package, place in _named(location, repo_type, lockfile):
                _sign(package, place, request)
    return outcome.code


def _named(location: str, repo_type: str, lockfile: Path) -> Iterator[tuple[LockedPackage, Path]]:
    """The packages that `location` names, with the lock that holds them.

    Raises:
        NotPinnedError: none, or more than one content of one source.
    """
    if location.endswith(".lock") and Path(location).is_file():
        yield from ((package, Path(location)) for package in _all(read_lock(Path(location)), location))
        return
    source = str(options.named(location, repo_type))
    packages = read_lock(lockfile).of_source(source)
    if len(packages) != 1:
        found = "it is not pinned" if not packages else f"{len(packages)} contents of it are pinned"
        raise NotPinnedError(f"nothing to sign: {found}", subject=source,
                             remedy=f"safe-remote-code pin {location} --update, and review it")  # fmt: skip
    yield packages[0], lockfile


def _all(lock: Lock, location: str) -> tuple[LockedPackage, ...]:
    if not lock.packages:
        raise NotPinnedError("an empty lock: nothing to sign", subject=location)
    return lock.packages


def _sign(package: LockedPackage, lockfile: Path, request: _Request) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    approval = Approval(
        source=package.source, commit=package.commit, digest=package.digest,
        entry_points=tuple(sorted(package.entry_points)), capabilities=tuple(sorted(package.capabilities)),
        version=request.version or _next_version(package, lockfile),
        issued=now, expires=now + timedelta(days=request.days),
    )  # fmt: skip
    folder = package_folder(lockfile, package.digest)
    say(_lines(approval))
    if request.key is None:
        place = folder / f"{Path(request.ssh_name).name}.statement.json"
        write_file(place, approval.payload())
        tell(f"now sign it: ssh-keygen -Y sign -f ~/.ssh/id_ed25519 -n {NAMESPACE} {place}")
        return
    place = folder / f"{request.key.public.key_id[:32]}.json"
    write_file(place, dsse.sign(approval.payload(), PAYLOAD_TYPE, [request.key]))
    say(f"signed: {place}")


def _lines(approval: Approval) -> list[str]:
    at = f" @ {approval.commit}" if approval.commit else ""
    return [
        f"approves {approval.source}{at}",
        f"  content       {approval.digest}",
        f"  entry points  {', '.join(approval.entry_points)}",
        f"  capabilities  {', '.join(approval.capabilities) or 'none'}",
        f"  version       {approval.version}, until {format_time(approval.expires)}",
    ]


def _next_version(package: LockedPackage, lockfile: Path) -> int:
    """The version that others gave to this content, or one more than the highest of its source.

    What lies in the folder is unverified; the version is shown, and `--version` overrides it.
    """
    own, others = 0, 0
    folder = signature_folder(lockfile)
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        for approval in _claimed(lockfile, place.name):
            if approval.source == package.source and approval.digest == package.digest:
                own = max(own, approval.version)
            elif approval.source == package.source:
                others = max(others, approval.version)
    return own or others + 1


def _claimed(lockfile: Path, digest: str) -> Iterator[Approval]:
    for item in read_signatures(lockfile, digest):
        try:
            payload = item.data
            if item.ssh_signature is None:
                envelope = read_object(item.data, item.name, len(item.data))
                payload = from_base64(text_of(envelope, "payload", item.name), item.name)
            yield parse_approval(payload)
        except RemoteCodeError:
            continue
