"""What confined code may still do. Everything that is not named here is refused by the kernel.

Guarantee: a `Confinement` that exists names absolute paths without `..`, real ports and known mechanisms.

It does not: look at the disk, or apply anything (`apply.py` does).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final, Literal, final, get_args

Mechanism = Literal[
    "no-new-privileges", "landlock-files", "landlock-tcp", "landlock-scope", "landlock-unix", "seccomp", "limits",
    "descriptors", "capabilities",
]  # fmt: skip
MECHANISMS: Final[tuple[Mechanism, ...]] = get_args(Mechanism)
#: What makes the boundary; each of these missing is an error unless the caller says otherwise.
REQUIRED: Final[frozenset[Mechanism]] = frozenset(
    {"no-new-privileges", "landlock-files", "landlock-tcp", "landlock-scope", "seccomp", "limits", "descriptors"}
)
#: Among ports: every TCP port. Landlock then does not handle that right at all.
ANY_PORT: Final = -1
_MAX_PORT: Final = 65535


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """What is granted. A path stands for itself and, if it is a directory, for everything below it.

    `names` are folders that may be listed, with all folders below them, without a right to what is in the files. `read`
    includes mapping shared libraries: Landlock's execute right is about execve(2) only, so `dlopen` of a readable file
    works. `write` includes reading, creating, renaming and removing, but no device files. `execute` files or
    directories may be started as programs, if `allow_exec` holds. `devices` may be read, written and controlled.

    `connect` and `bind` are TCP ports; Landlock knows no hosts. Without any port there is no socket at all except
    unnamed socket pairs of the process itself. `unix` adds named UNIX sockets; before Landlock ABI 9 the kernel
    cannot say which may be connected to, and the status says so.

    `memory` bytes of address space (of private data, with devices: CUDA reserves more than there is); `processes`
    as RLIMIT_NPROC counts (all threads of this user, which root is exempt from); `open_files` descriptors. None:
    as before. `environment` names the variables that a new process keeps; `cleaned_environment` applies it.
    `keep_descriptors` are left open besides 0, 1 and 2; None closes nothing.
    """

    names: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    execute: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    connect: tuple[int, ...] = ()
    bind: tuple[int, ...] = ()
    unix: bool = False
    allow_exec: bool = False
    allow_fork: bool = False
    memory: int | None = None
    processes: int | None = None
    open_files: int | None = None
    environment: tuple[str, ...] = ()
    keep_descriptors: tuple[int, ...] | None = None
    required: frozenset[Mechanism] = REQUIRED

    def __post_init__(self) -> None:
        for path in (*self.names, *self.read, *self.write, *self.execute, *self.devices):
            if not os.path.isabs(path) or "\0" in path or ".." in path.split(os.sep):
                raise ValueError(f"an absolute path without '..', not {path!r:.120}")
        for port in (*self.connect, *self.bind):
            if port != ANY_PORT and not 0 <= port <= _MAX_PORT:
                raise ValueError(f"a TCP port, not {port!r:.20}")
        for limit in (self.memory, self.processes, self.open_files):
            if limit is not None and limit <= 0:
                raise ValueError("a limit is positive")
        if unknown := set(self.required) - set(MECHANISMS):
            raise ValueError(f"unknown mechanism: {', '.join(sorted(unknown))}")

    @property
    def sockets(self) -> bool:
        """Whether TCP sockets can be made at all."""
        return bool(self.connect or self.bind)
