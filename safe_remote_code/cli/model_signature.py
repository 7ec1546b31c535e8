"""Whole models from the command line: sign a folder, or verify one, with the OMS bundle; the progress of hashing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..documents import read_bytes
from ..errors import DigestMismatchError, NotPinnedError, RefusedError
from ..fetch.hub import cached_snapshot
from ..fetch.tree import TreeFile, hash_files, list_tree
from ..lockfile import read_lock
from ..signing.certificates import parse_certificates
from ..signing.key_files import load_public
from ..signing.oms import GIT_PATHS, HUB_NOTES, CertificateTrust, make_bundle, verify_bundle
from ..signing.store import write_file
from ..verify.model_tree import check_signed, is_code, named_digests, skipped
from .console import say, tell

if TYPE_CHECKING:
    from ..lockfile import LockedPackage
    from ..reference import RepoSource
    from ..signing.keys import PrivateKey, PublicKey

_MAX_NAMED = 20


@contextmanager
def _progress(files: tuple[TreeFile, ...]) -> Iterator[Callable[[TreeFile], None]]:
    """A bar on stderr, in bytes, where a person looks at it."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    console = Console(file=sys.stderr)
    columns = (BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=sum(file.size for file in files))
        yield lambda file: bar.advance(task, file.size)


def _hashed(files: tuple[TreeFile, ...], hash_name: Callable[[TreeFile], str]) -> dict[str, str]:
    with _progress(files) as progress:
        return hash_files(files, hash_name, progress=progress)


def _inside(folder: str, signature: Path) -> str | None:
    """The path of `signature` in `folder`, if it lies there."""
    real, base = os.path.realpath(signature), os.path.realpath(folder)
    return os.path.relpath(real, base).replace(os.sep, "/") if real.startswith(base + os.sep) else None


def sign_model(location: str, key: PrivateKey, signature: Path, certificate: Path | None = None) -> None:
    """Write a bundle over every file of the folder `location` to `signature`, with the chain in `certificate`.

    Raises:
        RefusedError: a link that leads out, or a key of another kind. DocumentError: it cannot be written.
    """
    if not os.path.isdir(location):
        raise click.UsageError(f"--oms signs a folder; {location} is none")
    own = _inside(location, signature)
    ignored = [*GIT_PATHS, HUB_NOTES, *([own] if own else [])]

    def skip(path: str) -> bool:
        return path in ignored

    files = list_tree(location, skip)
    name = os.path.basename(os.path.realpath(location))
    chain = parse_certificates(read_bytes(certificate)) if certificate else ()
    bundle = make_bundle(name, _hashed(files, lambda _: "sha256"), ignored, key, chain)
    write_file(signature, bundle)
    say(f"signed: {len(files)} files of {location} in {signature}")


def trusted_signer(keys: tuple[Path, ...], roots: Path | None, identity: str | None) -> PublicKey | CertificateTrust:
    """Whom the user trusts to have signed a model: one key, or an identity under explicit roots.

    Raises:
        click.UsageError: neither or both. DocumentError, SignatureError: unreadable.
    """
    if len(keys) == 1 and roots is None and identity is None:
        return load_public(keys[0])
    if keys or roots is None or not identity:
        raise click.UsageError("--signature needs one --key, or --certificate-root and --identity")
    return CertificateTrust(roots=parse_certificates(read_bytes(roots)), identity=identity, now=datetime.now(UTC))


def verify_model(
    repo: RepoSource, lockfile: Path, signature: Path, trusted: PublicKey | CertificateTrust, *, full: bool
) -> None:
    """Say that the code of `repo`, or with `full` every file, is as it was signed.

    Raises:
        SignatureError, DigestMismatchError, RefusedError: it is not. FetchError, DocumentError: unreadable.
    """
    manifest = verify_bundle(read_bytes(signature), trusted)
    folder = _folder(repo, lockfile)
    files = list_tree(folder, lambda path: skipped(path, manifest.files))
    judged = files if full else tuple(file for file in files if is_code(file.path))
    digests = _hashed(judged, lambda _: manifest.hash_name)
    uncovered = check_signed(
        manifest, {file.path for file in files}, digests, signature=_inside(folder, signature), subject=str(repo),
        code_only=not full,
    )  # fmt: skip
    what = f"{len(digests)} files" if full else f"{len(digests)} files of code (--full: every file)"
    say(f"{repo}: signed by {manifest.key.key_id}: {what}")
    if uncovered:
        tell(f"  not covered by the signature, and not code: {_some(uncovered)}")
    if not digests:
        raise RefusedError("nothing was verified: there is no code here", subject=str(repo), remedy="add --full")


def _folder(repo: RepoSource, lockfile: Path) -> str:
    if repo.kind == "local":
        return repo.location
    commits = {package.commit for package in read_lock(lockfile).of_source(str(repo)) if package.commit}
    if len(commits) > 1:
        raise NotPinnedError("several commits are pinned", subject=str(repo), remedy="keep one: pin --update")
    return cached_snapshot(repo, next(iter(commits), None))


def _some(paths: tuple[str, ...]) -> str:
    return ", ".join(paths[:_MAX_NAMED]) + (f" and {len(paths) - _MAX_NAMED} more" if len(paths) > _MAX_NAMED else "")


def verify_whole(repo: RepoSource, package: LockedPackage) -> None:
    """Say that every file of `repo` is what the Hub's cache says it is, and the code what the lock says.

    Raises:
        DigestMismatchError: a file is damaged, or nothing says what it should be. FetchError: unreadable.
    """
    folder = repo.location if repo.kind == "local" else cached_snapshot(repo, package.commit)
    files = list_tree(folder, lambda path: skipped(path, ()) or path == HUB_NOTES)
    named = {path: ("sha256", digest) for path, digest in package.files.items()} | named_digests(
        {file.path: file.real for file in files}
    )
    digests = _hashed(files, lambda file: named.get(file.path, ("sha256", ""))[0])
    changed = sorted(path for path, digest in digests.items() if path in named and digest != named[path][1])
    if changed:
        raise DigestMismatchError(f"changed since they were downloaded: {_some(tuple(changed))}", subject=str(repo),
                                  remedy="download them again")  # fmt: skip
    unknown = tuple(sorted(set(digests) - set(named)))
    if unknown:
        raise DigestMismatchError(f"nothing says what these files should be: {_some(unknown)}", subject=str(repo),
                                  remedy="give the model's --signature and --key")  # fmt: skip
    say(f"{repo}: all {len(digests)} files have the content that they had when they were downloaded")
