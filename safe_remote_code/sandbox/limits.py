"""Resource limits, open descriptors and capabilities: what a process gives up about itself.

Sources: setrlimit(2), close_range(2), capabilities(7), UAPI `linux/capability.h`.
"""

from __future__ import annotations

import os
import resource
import struct
from collections.abc import Iterable
from typing import Final

from . import kernel
from .confinement import Confinement

_FIRST_OPEN: Final = 3
_LAST: Final = 0xFFFFFFFF
_CAPABILITY_VERSION_3: Final = 0x20080522
#: Root in a container reads the files of other users by this one. It is held by Landlock like everybody else.
_CAP_DAC_OVERRIDE: Final = 1
_MAX_CAPABILITY: Final = 63


def wanted_limits(confinement: Confinement) -> dict[str, int]:
    """Name of the RLIMIT to its value."""
    wanted = {"CORE": 0}  # a core file is the memory, secrets included, on disk
    if confinement.memory is not None:
        # CUDA reserves address space by the terabyte; what is private and written counts then.
        wanted["DATA" if confinement.devices else "AS"] = confinement.memory
    if confinement.processes is not None:
        wanted["NPROC"] = confinement.processes
    if confinement.open_files is not None:
        wanted["NOFILE"] = confinement.open_files
    return wanted


def set_limits(confinement: Confinement) -> tuple[str, ...]:
    """Lower the limits, soft and hard, for good; the names of those that do not bind this user."""
    for name, value in wanted_limits(confinement).items():
        kind = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))
    return ("NPROC (root is exempt)",) if confinement.processes is not None and os.getuid() == 0 else ()


def close_descriptors(keep: Iterable[int]) -> None:
    """Close every descriptor but 0, 1, 2 and `keep`.

    Raises:
        OSError: the kernel has no close_range (before 5.9).
    """
    first = _FIRST_OPEN
    for kept in sorted({number for number in keep if number >= _FIRST_OPEN}):
        if kept > first:
            kernel.call(kernel.CLOSE_RANGE, first, kept - 1, 0)
        first = kept + 1
    kernel.call(kernel.CLOSE_RANGE, first, _LAST, 0)


def drop_capabilities() -> None:
    """Keep at most CAP_DAC_OVERRIDE, now and after every exec. Who has no more loses nothing.

    Raises:
        OSError: the kernel refuses it.
    """
    held = {name: _capabilities(name) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")}
    kept = held["CapEff"] & (1 << _CAP_DAC_OVERRIDE)
    if not any(value & ~kept for value in held.values()):
        return
    _set_capabilities(held["CapPrm"], held["CapPrm"])  # to give up the rest takes one that may be lowered for now
    for number in range(_MAX_CAPABILITY + 1):
        if number != _CAP_DAC_OVERRIDE and _in_bounding_set(number):
            kernel.prctl(kernel.PR_CAPBSET_DROP, number)
    kernel.prctl(kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_CLEAR_ALL)
    _set_capabilities(kept, kept)


def _set_capabilities(effective: int, permitted: int) -> None:
    header = kernel.buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
    low, high = 0xFFFFFFFF, 32
    words = (effective & low, permitted & low, 0, effective >> high, permitted >> high, 0)
    kernel.call(kernel.CAPSET[kernel.architecture()], header, kernel.buffer(struct.pack("=IIIIII", *words)))


def _in_bounding_set(number: int) -> bool:
    try:
        return kernel.prctl(kernel.PR_CAPBSET_READ, number) == 1
    except OSError:  # a number that this kernel does not know
        return False


def _capabilities(name: str) -> int:
    with open("/proc/thread-self/status", encoding="utf-8", errors="replace") as stream:
        line = next(line for line in stream if line.startswith(f"{name}:"))
    return int(line.split()[1], 16)
