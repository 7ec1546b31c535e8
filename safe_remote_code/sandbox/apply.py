"""`apply`: the confinement of this process, in one order, and a status that says what holds.

1. What is required is compared with what this kernel has, before anything is changed.
2. Limits and capabilities are given up while it is still allowed.
3. no_new_privs, without which the kernel takes neither ruleset nor filter from an ordinary user.
4. Landlock, while its own calls and the descriptors of its rules are still there.
5. Descriptors are closed, the ruleset's too.
6. seccomp last: it refuses whatever the steps before needed.

Guarantee: a requirement that cannot be met raises; what raises after step 1 leaves a process that must end.
"""

from __future__ import annotations

import os
import platform
from typing import Final

from ..errors import SandboxUnavailableError
from . import kernel, landlock, limits, seccomp
from .confinement import Confinement, Mechanism
from .landlock import ALL_THREADS_ABI, SCOPE_ABI, TCP_ABI, TRUNCATE_ABI, UNIX_ABI
from .status import MechanismStatus, SandboxStatus, Threads

#: The kernel that brought each Landlock ABI, for the remedy.
_SINCE: Final[dict[Mechanism, str]] = {
    "landlock-files": "6.2", "landlock-tcp": "6.7", "landlock-scope": "6.12", "landlock-unix": "7.1",
    "seccomp": "4.14", "descriptors": "5.9",
}  # fmt: skip


def apply(confinement: Confinement) -> SandboxStatus:
    """Confine the calling thread and everything that it starts, for good. Call it while there is one thread.

    Raises:
        SandboxUnavailableError: something in `confinement.required` cannot be enforced here; nothing was changed,
            unless the message says that the kernel refused a step, after which the process should end.
    """
    kernel.architecture()
    version = landlock.abi()
    lone = kernel.count_threads() == 1
    _check_requirements(confinement, version, lone)
    try:
        return _enforce(confinement, version, lone)
    except OSError as error:
        raise SandboxUnavailableError(
            f"the kernel refused a step: {error}", subject="sandbox", remedy="end this process; nothing may run in it"
        ) from error


def _check_requirements(confinement: Confinement, version: int, lone: bool) -> None:
    lacking = [item for item in unavailable(confinement, version) if item in confinement.required]
    if lacking:
        named = ", ".join(f"{item} (Linux {_SINCE[item]})" if item in _SINCE else item for item in lacking)
        raise SandboxUnavailableError(
            f"this kernel ({platform.release()}, Landlock ABI {version or 'none'}) cannot enforce: {named}",
            subject="sandbox",
            remedy="use a kernel that has it (Landlock must also be in the lsm= list of the boot line), or a container"
            " that does not filter these calls",
        )
    if not lone and version < ALL_THREADS_ABI and "landlock-files" in confinement.required:
        raise SandboxUnavailableError(
            f"this process has {kernel.count_threads()} threads, and before ABI 8 Landlock holds only the calling one",
            subject="sandbox", remedy="apply it before anything starts a thread (numpy and torch do when imported)",
        )  # fmt: skip


def unavailable(confinement: Confinement, version: int) -> tuple[Mechanism, ...]:
    """What `confinement` asks for and this kernel does not have."""
    lacks: dict[Mechanism, bool] = {
        "landlock-files": version < TRUNCATE_ABI,  # any file could be emptied before
        "landlock-tcp": confinement.sockets and version < TCP_ABI,
        # Without processes of its own, seccomp can say to whom signals go.
        "landlock-scope": version < SCOPE_ABI and (confinement.allow_fork or confinement.unix),
        "landlock-unix": confinement.unix and version < UNIX_ABI,
        "seccomp": not seccomp.available(),
    }
    return tuple(name for name, lacking in lacks.items() if lacking)


def _enforce(confinement: Confinement, version: int, lone: bool) -> SandboxStatus:
    not_binding = limits.set_limits(confinement)
    limits.drop_capabilities()
    ruleset = landlock.prepare(confinement) if version else None
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if ruleset is not None:
        landlock.enforce(ruleset)
        os.close(ruleset.descriptor)
    if confinement.keep_descriptors is not None:
        limits.close_descriptors(confinement.keep_descriptors)
    filtered = seccomp.available()
    if filtered:
        seccomp.install(confinement, os.getpid() if version < SCOPE_ABI and not confinement.allow_fork else None)
    one: Threads = "process" if lone else "calling thread"
    return SandboxStatus(
        kernel=platform.release(),
        landlock_abi=version,
        mechanisms=(
            MechanismStatus(name="no-new-privileges", requested=True, enforced=True, threads=one),
            *_landlock_statuses(confinement, ruleset, filtered, "process" if version >= ALL_THREADS_ABI else one),
            MechanismStatus(
                name="seccomp", requested=True, enforced=filtered, threads="process" if filtered else "none"
            ),
            MechanismStatus(
                name="limits", requested=True, enforced=True, threads="process", missing=not_binding,
                detail=", ".join(f"{name} {value}" for name, value in limits.wanted_limits(confinement).items()),
            ),
            MechanismStatus(
                name="descriptors", requested=confinement.keep_descriptors is not None,
                enforced=confinement.keep_descriptors is not None, threads="process",
            ),
            MechanismStatus(
                name="capabilities", requested=True, enforced=True, threads=one, detail="at most CAP_DAC_OVERRIDE"
            ),
        ),
    )  # fmt: skip


def _landlock_statuses(
    confinement: Confinement, ruleset: landlock.Ruleset | None, filtered: bool, threads: Threads
) -> tuple[MechanismStatus, ...]:
    version = ruleset.abi if ruleset else 0
    held = ruleset is not None
    scoped = held and version >= SCOPE_ABI
    signals_by_seccomp = not scoped and filtered and not confinement.allow_fork
    tcp = held and version >= TCP_ABI
    by_seccomp = "no TCP socket can be made (seccomp)" if filtered and not confinement.sockets else ""
    missing = landlock.missing_file_rights(version) if held else ()
    absent = f"{len(ruleset.absent)} granted paths do not exist" if ruleset and ruleset.absent else ""
    unix = confinement.unix and held and version >= UNIX_ABI

    def status(
        name: Mechanism, requested: bool, enforced: bool, missing: tuple[str, ...] = (), detail: str = ""
    ) -> MechanismStatus:
        return MechanismStatus(
            name=name, requested=requested, enforced=enforced, threads=threads if enforced else "none",
            missing=missing, detail=detail,
        )  # fmt: skip

    return (
        status("landlock-files", True, held, missing, absent),
        status("landlock-tcp", True, tcp or bool(by_seccomp), (), by_seccomp),
        status(
            "landlock-scope", True, scoped or signals_by_seccomp, (),
            "signals only to itself (seccomp)" if signals_by_seccomp else "",
        ),
        status(
            "landlock-unix", confinement.unix, unix, () if unix or not confinement.unix else ("RESOLVE_UNIX",),
            "" if confinement.unix else "no named UNIX socket can be made (seccomp)" if filtered else "",
        ),
    )  # fmt: skip
