"""What a program gets: worked out from the lock, the policy, the command and the user's own grants.

Rules:
1. The interpreter's libraries, the system's, and the policy and lock documents, to read.
2. Of the program's own folder the modules, by file and by package folder, unless they are links that lead out of it.
   Names there can be listed; other files (`.env`, keys, notebooks) cannot be read.
3. Of each locked source that the policy allows: its folder in the Hub cache, or the local folder of that name that the
   command names or that lies here or beside the lock. With a network, the cache folder may be written to as well.
4. Writing: the run's own temporary folder, shared memory, the laid-out text of the locked packages, and what the user
   names.
5. Nothing else. No token, no home, no other process.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from ..errors import RefusedError
from ..lockfile import LockedPackage, read_lock
from ..places import cache_home, source_folder
from ..policy import load_policy
from ..sandbox import (
    Confinement,
    Mechanism,
    cuda_devices,
    cuda_paths,
    holds_home,
    program_paths,
    standard_devices,
    system_paths,
)
from ..sandbox.confinement import REQUIRED
from ..shipped import shipped_path
from .environment import kept_names
from .program import Program

_SHARED_MEMORY: Final = "/dev/shm"
_MODULE_ENDINGS: Final = (".py", ".pyc", ".so", ".pyi")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the user asked for on the command line; `policy` and `lockfile` as they name them."""

    policy: str = "default"
    lockfile: Path = Path("remote-code.lock")
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    execute: tuple[str, ...] = ()
    connect: tuple[int, ...] = ()
    listen: tuple[int, ...] = ()
    environment: tuple[str, ...] = ()
    cuda: bool = True
    unsafe_unix_sockets: bool = False
    unsafe_without: frozenset[Mechanism] = frozenset()


def derive(wishes: Wishes, program: Program, environment: Mapping[str, str], folder: str) -> Confinement:
    """The confinement of `program`; `folder` is the run's own temporary one.

    Raises:
        DocumentError: lock or policy is malformed. RefusedError: a granted path does not exist, or is a whole home.
    """
    devices = cuda_devices() if wishes.cuda else ()
    models = list(_models(wishes, program, environment))
    online = bool(wishes.connect)
    started = list(_checked(wishes.execute, "--exec"))
    cached = [path for path, hub in models if hub and online]
    read = [
        *system_paths(all_processes=True),
        *_interpreter(program),
        *_own_modules(program),
        *_documents(wishes),
        *_search_folders(environment),
        *[path for path, _ in models],
        *(cuda_paths() if devices else ()),
        *_checked(wishes.read, "--read"),
        *started,
    ]
    write = [folder, _SHARED_MEMORY, *_stores(wishes, environment), *cached, *_checked(_made(wishes.write), "--write")]
    return Confinement(
        names=_real(filter(None, [program.folder])),
        read=_real(read),
        write=_real([*write, *standard_devices()]),
        execute=tuple(sorted({path for item in (*program.executables, *started) for path in program_paths(item)})),
        devices=devices,
        connect=wishes.connect,
        bind=wishes.listen,
        unix=wishes.unsafe_unix_sockets,
        allow_exec=True,
        allow_fork=True,
        environment=kept_names(environment, wishes.environment),
        required=REQUIRED - wishes.unsafe_without,
    )


def _real(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({os.path.realpath(path) for path in paths if os.path.exists(path)}))


def _checked(paths: Iterable[str], option: str) -> Iterator[str]:
    for path in paths:
        if not os.path.exists(path):
            raise RefusedError(f"{option} names what is not there", subject=path, remedy="check the path")
        if holds_home(path):
            raise RefusedError(
                f"{option} would grant the whole home, keys and tokens included",
                subject=path,
                remedy="name the folders below it that are needed",
            )
        yield os.path.abspath(path)


def _made(paths: Iterable[str]) -> Iterator[str]:
    """An output folder may be new; Landlock can grant only what exists."""
    for path in paths:
        if not os.path.exists(path):
            os.makedirs(path)
        yield path


def _interpreter(program: Program) -> Iterator[str]:
    yield from program.executables
    yield from (path for path in program.libraries if not holds_home(path))
    for prefix in program.prefixes:
        yield from (os.path.join(prefix, name) for name in ("lib", "lib64", "pyvenv.cfg"))


def _own_modules(program: Program) -> Iterator[str]:
    """The script, and what can be imported from the folder that comes first on the module path."""
    if program.script is not None:
        yield program.script
    if program.folder is None or not os.path.isdir(program.folder):
        return
    home = os.path.join(os.path.realpath(program.folder), "")
    for entry in os.scandir(program.folder):
        if not os.path.realpath(entry.path).startswith(home) or holds_home(entry.path):
            continue  # a cloned repository may hold a link to anything
        if entry.is_dir() and _is_package(entry.path) or entry.is_file() and entry.name.endswith(_MODULE_ENDINGS):
            yield entry.path


def _is_package(folder: str) -> bool:
    if not os.path.basename(folder).isidentifier():
        return False
    try:
        return any(name.endswith(".py") for name in os.listdir(folder))
    except OSError:
        return False


def _documents(wishes: Wishes) -> Iterator[str]:
    yield str(shipped_path("default.toml").parent)
    yield str(wishes.lockfile.absolute())
    if wishes.policy.endswith(".toml") or os.sep in wishes.policy:
        beside = Path(wishes.policy).absolute().parent  # a policy may extend another one there
        yield from (str(path) for path in beside.glob("*.toml"))


def _search_folders(environment: Mapping[str, str]) -> Iterator[str]:
    for name in ("PYTHONPATH", "LD_LIBRARY_PATH"):
        yield from (path for path in environment.get(name, "").split(os.pathsep) if path and not holds_home(path))


def _packages(wishes: Wishes) -> list[LockedPackage]:
    policy = load_policy(wishes.policy)
    return [package for package in read_lock(wishes.lockfile).packages if policy.allows_source(package.source)]


def _stores(wishes: Wishes, environment: Mapping[str, str]) -> Iterator[str]:
    """Made beforehand; who loads compares what lies there with the lock, so it cannot be spoilt for others."""
    for package in _packages(wishes):
        path = source_folder(package.digest, environment)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue  # a read-only cache: the text is not laid out then
        yield str(path)


def _models(wishes: Wishes, program: Program, environment: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """(folder, whether it is one of the Hub cache) of each locked source."""
    for source in sorted({package.source for package in _packages(wishes)}):
        kind, _, name = source.partition(":")
        if kind == "hub":
            yield from ((path, True) for path in _cached(name, hub_cache(environment)))
        else:
            places = [os.path.join(base, name) for base in (os.getcwd(), wishes.lockfile.absolute().parent)]
            places += [word for word in program.arguments[1:] if os.path.basename(os.path.normpath(word)) == name]
            yield from ((os.path.abspath(path), False) for path in places if os.path.isdir(path))


def hub_cache(environment: Mapping[str, str]) -> str:
    """Where the Hub's client keeps its files (its documentation, "Environment variables")."""
    home = environment.get("HF_HOME") or os.path.join(cache_home(environment), "huggingface")
    chosen = environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return os.path.expanduser(chosen)


def _cached(name: str, cache: str) -> tuple[str, str]:
    """The folder of a repository in the cache, and that of its locks."""
    kind, _, rest = name.partition("s/") if name.startswith(("datasets/", "spaces/")) else ("model", "", name)
    folder = "--".join([f"{kind}s", *rest.split("/")])
    return os.path.join(cache, folder), os.path.join(cache, ".locks", folder)
