"""The one place that calls the kernel directly: a few system calls that Python has no function for.

Guarantee: a failure is an `OSError` with the kernel's number, never a return value that a caller could forget.

Sources of the numbers: UAPI `asm-generic/unistd.h` and `asm/unistd_64.h` (equal on x86-64 and aarch64 for calls newer
than 5.0), `linux/prctl.h`, `linux/capability.h`.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from typing import Final, Literal

from ..errors import SandboxUnavailableError

Architecture = Literal["x86_64", "aarch64"]

LANDLOCK_CREATE_RULESET: Final = 444
LANDLOCK_ADD_RULE: Final = 445
LANDLOCK_RESTRICT_SELF: Final = 446
CLOSE_RANGE: Final = 436
SECCOMP: Final[dict[Architecture, int]] = {"x86_64": 317, "aarch64": 277}
CAPSET: Final[dict[Architecture, int]] = {"x86_64": 126, "aarch64": 91}

PR_SET_PDEATHSIG: Final = 1
PR_CAPBSET_READ: Final = 23
PR_CAPBSET_DROP: Final = 24
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4


def architecture() -> Architecture:
    """The architecture whose numbers hold here.

    Raises:
        SandboxUnavailableError: not Linux, or neither 64-bit x86 nor 64-bit Arm.
    """
    machine = platform.machine()
    if sys.platform != "linux":
        raise SandboxUnavailableError(
            "the sandbox is made of Linux kernel features (Landlock, seccomp), which this system does not have",
            subject=sys.platform, remedy="run it on Linux, or in a Linux container or virtual machine",
        )  # fmt: skip
    if machine not in ("x86_64", "aarch64") or sys.maxsize < 2**32:
        raise SandboxUnavailableError(
            "the table of system calls has x86_64 and aarch64 only, with 64-bit programs", subject=machine,
            remedy="run it on one of these",
        )  # fmt: skip
    return "x86_64" if machine == "x86_64" else "aarch64"


def call(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
    """`syscall(2)`. Buffers are passed by address.

    Raises:
        OSError: the kernel's answer was an error.
    """
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    # Variadic: without types, ctypes would pass integers as 32-bit ones.
    words = [item if isinstance(item, ctypes.Array) else ctypes.c_long(item or 0) for item in arguments]
    result = int(library.syscall(ctypes.c_long(number), *words))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def prctl(option: int, *arguments: int) -> int:
    """`prctl(2)`, unused arguments zero.

    Raises:
        OSError: the kernel's answer was an error.
    """
    library = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_ulong(item) for item in (*arguments, 0, 0, 0, 0)[:4]]
    result = int(library.prctl(ctypes.c_int(option), *words))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def buffer(data: bytes) -> ctypes.Array[ctypes.c_char]:
    """`data` in memory of its own, to be passed by address."""
    return ctypes.create_string_buffer(data, len(data))


def address(memory: ctypes.Array[ctypes.c_char]) -> int:
    """Where `memory` lies; valid while the caller holds it."""
    return ctypes.addressof(memory)


def count_threads() -> int:
    """How many threads this process has, those of native libraries included."""
    return len(os.listdir("/proc/self/task"))
