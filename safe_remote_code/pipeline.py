"""The product in one page: reference to class, through every wall, each stage's value the next one's proof."""

from __future__ import annotations

import os
import shlex
import threading
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from . import monitor
from .admit import AdmittedSnapshot, admit
from .analyse import analyse
from .collector import paused
from .errors import NotPinnedError, RefusedError
from .execute import LoadedPackage, execute
from .execute.source_store import lay_out, store_folder
from .fetch import fetch, open_source
from .fetch.source import HubOptions, Source
from .guard import guard
from .guard.loading import read_roots
from .lockfile import DEFAULT_LOCKFILE, Lock, read_lock, write_lock
from .pinning import locked_package, package_snapshot
from .policy import Policy, load_policy
from .verify import Surroundings, VerifiedSnapshot, approved, verify
from .verify.memory import default_memory

if TYPE_CHECKING:
    from .lockfile import LockedPackage
    from .reference import ModuleRef, RepoSource


@final
@dataclass(slots=True)
class _Session:
    """What one process has loaded: packages by digest and policy, and the last commit of each source."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    packages: dict[tuple[str, str, Policy], LoadedPackage] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)
    fresh: dict[object, tuple[tuple[object, ...], LoadedPackage]] = field(default_factory=dict)


_SESSION: Final = _Session()


def pin_command(ref: ModuleRef, lockfile: Path) -> str:
    """The command line that would pin the code of `ref`."""
    words = ["safe-remote-code", "pin", ref.source.location]
    if ref.revision and ref.source.kind == "hub":
        words += ["--revision", str(ref.revision)]
    if ref.source.repo_type != "model":
        words += ["--repo-type", ref.source.repo_type]
    if str(lockfile) != DEFAULT_LOCKFILE:
        words += ["--lockfile", str(lockfile)]
    return shlex.join(words)


def load_package(
    ref: ModuleRef,
    *,
    policy: str | os.PathLike[str] | Policy = "default",
    lockfile: str | os.PathLike[str] = DEFAULT_LOCKFILE,
    options: HubOptions | None = None,
    weights: RepoSource | None = None,
) -> LoadedPackage:
    """The package that holds `ref`, verified, admitted, guarded and importable.

    `weights` is the repository that the model's other files come from, when the code is another's;
    remote code may read there too.

    Raises:
        RefusedError: a wall said no. FetchError: the code could not be had. DocumentError: the
            lock or policy file is malformed.
    """
    chosen, path = load_policy(policy), Path(lockfile)
    options = options or HubOptions()
    with _SESSION.lock:
        key = (ref, chosen.name, id(chosen), path, options)
        known = _SESSION.fresh.get(key)
        # Signatures expire and are withdrawn: with trust rules, every load proves them again.
        again = not options.force_download and not chosen.trust
        if known is not None and again and known[0] == _signature(known[1], path, ref):
            return known[1]
        with paused():
            loaded = _load(ref, chosen, path, options)
        for repo in (ref.source, weights):
            if repo is not None:
                loaded.context.read_roots.update(read_roots(repo, options.cache_dir))
                loaded.context.repositories.add(repo.location)
        _SESSION.fresh[key] = (_signature(loaded, path, ref), loaded)
        return loaded


def _signature(loaded: LoadedPackage, lockfile: Path, ref: ModuleRef) -> tuple[object, ...]:
    """What must be unchanged on disk for a second load to be the first one again."""
    paths = [str(lockfile)]
    if ref.source.kind == "local":
        paths += [os.path.join(ref.source.location, name) for name in loaded.modules]
    return tuple(_stamp(path) for path in paths)


def _stamp(path: str) -> tuple[int, ...] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def approve(
    ref: ModuleRef, *, policy: Policy, lockfile: Path, options: HubOptions | None = None
) -> tuple[AdmittedSnapshot, str | None]:
    """The code that holds `ref`, verified and admitted, and its commit; nothing of it is compiled or run here.

    What a worker does again before it runs the code; here so that a refusal needs no process, and because only
    this side may ask the network.

    Raises:
        RefusedError, FetchError, DocumentError: as `load_package`.
    """
    verified, home, commit = _verified_home(ref, policy, lockfile, options or HubOptions())
    return admit(verified, analyse(verified.snapshot), policy, home), commit


def _load(ref: ModuleRef, policy: Policy, lockfile: Path, options: HubOptions) -> LoadedPackage:
    verified, home, _ = _verified_home(ref, policy, lockfile, options)
    package = _package(verified, policy, home)
    if not package.holds(verified.snapshot):
        admitted = admit(verified, analyse(verified.snapshot), policy, home)
        guarded = guard(admitted, str(package.folder))
        lay_out(verified.snapshot, package.folder)
        package.extend(guarded)
    return package


def _verified_home(
    ref: ModuleRef, policy: Policy, lockfile: Path, options: HubOptions
) -> tuple[VerifiedSnapshot, str, str | None]:
    """The verified snapshot, the source that its code was pinned for, and the commit that it was read at."""
    name = str(ref.source)
    if not policy.allows_source(name):
        raise RefusedError("the policy does not allow this source", subject=name,
                           remedy="list it under [sources] allow in your policy")  # fmt: skip
    _warn_of_walls_off(policy)
    lock = read_lock(lockfile) if policy.stands("identity") else Lock()
    source = open_source(ref.source, ref.revision or _locked_commit(lock, name), options)
    verified = _verified(ref, source, lock, lockfile, policy)
    around = Surroundings(lockfile=lockfile, memory=default_memory(), now=datetime.now(UTC))
    verified = approved(verified, ref.source, policy, around)
    if source.commit is not None:
        _SESSION.commits[name] = source.commit
    # A copy (a Trainer checkpoint) has the grants of the repository that its code was pinned for, and its classes.
    home = verified.package.source if verified.package is not None else name
    if not policy.allows_source(home):
        raise RefusedError("the policy does not allow this source, of which this is a copy", subject=home,
                           remedy="list it under [sources] allow in your policy")  # fmt: skip
    return verified, home, source.commit


def _package(verified: VerifiedSnapshot, policy: Policy, name: str) -> LoadedPackage:
    """The package that the files of `verified` belong to; configuration, model and tokenizer share one."""
    key = (verified.package_digest, name, policy)
    if key not in _SESSION.packages:
        if policy.stands("monitor"):
            monitor.install()
        folder = store_folder(verified.package_digest)
        _SESSION.packages[key] = execute(name, verified.package_digest, policy, folder)
    return _SESSION.packages[key]


def _warn_of_walls_off(policy: Policy) -> None:
    if policy.unsafe_disable:
        walls = ", ".join(sorted(policy.unsafe_disable))
        warnings.warn(f"policy {policy.name!r} switches walls off: {walls}", RuntimeWarning, stacklevel=6)


def _locked_commit(lock: Lock, source: str) -> str | None:
    """The commit that a load without a revision means: the pinned one, never just `main`.

    Raises:
        NotPinnedError: several are pinned and none was loaded before in this process.
    """
    commits = {package.commit for package in lock.of_source(source) if package.commit}
    if len(commits) <= 1:
        return next(iter(commits), None)
    if _SESSION.commits.get(source) in commits:
        return _SESSION.commits[source]
    raise NotPinnedError("several commits are pinned, and none was asked for", subject=source,
                         remedy=f"pass revision= one of {', '.join(sorted(commits))}")  # fmt: skip


def _verified(ref: ModuleRef, source: Source, lock: Lock, lockfile: Path, policy: Policy) -> VerifiedSnapshot:
    closure = fetch(source, [ref.path])
    if not policy.stands("identity"):
        whole = package_snapshot(source, (ref.path,))
        return VerifiedSnapshot(snapshot=closure, package=None, unsafe_unpinned=whole.digest)
    try:
        return verify(closure, ref, lock, pin_command=pin_command(ref, lockfile))
    except NotPinnedError:
        # What must be signed is not recorded on first use.
        if policy.pinning != "record" or lock.of_source(str(ref.source)) or policy.trust_for(str(ref.source)):
            raise
        return VerifiedSnapshot(snapshot=closure, package=_record(ref, source, lock, lockfile))


def _record(ref: ModuleRef, source: Source, lock: Lock, lockfile: Path) -> LockedPackage:
    """Trust on first use, for exploring: pin what is there now, and say so."""
    package, _ = locked_package(source, (ref.entry_point,))
    write_lock(lock.with_package(package, replace_source=False), lockfile)
    warnings.warn(f"{ref.source}: recorded in {lockfile} on first use, unreviewed", RuntimeWarning, stacklevel=6)
    return package
