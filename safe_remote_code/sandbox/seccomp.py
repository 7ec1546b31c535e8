"""The seccomp filter: an allowlist of system calls, as one BPF program for the running architecture.

Guarantee: a call that no table names is refused; so is every call of another architecture (32-bit programs are
killed) and of the x32 numbers. Once on, the filter cannot be taken off and is inherited by every process below.

It does not: look behind pointers. Which file and which port is for Landlock to say.

Sources: UAPI `linux/seccomp.h`, `linux/audit.h`; Documentation/userspace-api/seccomp_filter.rst.
"""

from __future__ import annotations

import errno
import os
import struct
from itertools import pairwise
from typing import Final

from . import kernel
from .bpf import ARCHITECTURE, NUMBER, Program, argument_offset
from .confinement import Confinement
from .kernel import Architecture
from .rules import NETLINK_RULE, Answer, Rule, Test, rules
from .syscalls import ALLOWED, CHECKED

_AUDIT_ARCH: Final[dict[Architecture, int]] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_COLUMN: Final[dict[Architecture, int]] = {"x86_64": 0, "aarch64": 1}
_SET_MODE_FILTER: Final = 1
_FLAG_TSYNC: Final = 1
_KILL_PROCESS: Final = 0x80000000
_ERRNO: Final = 0x00050000
_ALLOW: Final = 0x7FFF0000
_ACTIONS: Final[dict[Answer, int]] = {
    "allow": _ALLOW,
    "refuse": _ERRNO | errno.EPERM,
    "denied": _ERRNO | errno.EACCES,
    "unknown": _ERRNO | errno.ENOSYS,
    "unsupported": _ERRNO | errno.ENOTSUP,
    "not-a-device": _ERRNO | errno.ENOTTY,
    "ignore": _ERRNO,
}
#: From here on a call is newer than these tables (Linux 6.19 ends at 470) and is answered as an older kernel would.
_NEWER: Final = 471
_X32_BIT: Final = 0x40000000  # arch/x86/include/uapi/asm/unistd.h


def available() -> bool:
    """Whether this kernel has seccomp filters with the action that is used here."""
    try:
        with open("/proc/sys/kernel/seccomp/actions_avail", encoding="utf-8") as stream:
            return {"allow", "errno", "kill_process"} <= set(stream.read().split())
    except OSError:
        return False


def compile_filter(confinement: Confinement, architecture: Architecture, scoped_to: int | None) -> bytes:
    """The filter as an array of struct sock_filter. `scoped_to` as in `rules`."""
    program = Program()
    program.load(ARCHITECTURE)
    program.jump_if_equal(_AUDIT_ARCH[architecture], "ours")
    program.answer(_KILL_PROCESS)
    program.label("ours")
    program.load(NUMBER)
    _search(program, _places(_COLUMN[architecture]))
    for name, rule in rules(confinement, scoped_to).items():
        if CHECKED[name][_COLUMN[architecture]] is not None:
            _check(program, f"check {name}", rule)
    _check(program, "netlink", NETLINK_RULE)
    for answer, action in _ACTIONS.items():
        program.label(answer)
        program.answer(action)
    return program.assemble()


def _places(column: int) -> list[tuple[int, str]]:
    """(first number, label) of each run of numbers with the same answer, ascending from 0."""
    labels = {row[column]: "allow" for row in ALLOWED.values()}
    labels |= {row[column]: f"check {name}" for name, row in CHECKED.items()}
    ends: list[tuple[int, str]] = [(number, labels.get(number, "refuse")) for number in range(_NEWER)]
    ends += [(_NEWER, "unknown"), (_X32_BIT, "refuse")]
    return [ends[0]] + [(number, label) for (_, before), (number, label) in pairwise(ends) if label != before]


def _search(program: Program, places: list[tuple[int, str]]) -> None:
    """Binary search; the kernel works out beforehand which numbers it always allows and skips it for them."""
    if len(places) == 1:
        program.jump(places[0][1])
        return
    middle = len(places) // 2
    upper = f"from {places[middle][0]}"
    program.jump_if_not_below(places[middle][0], upper)
    _search(program, places[:middle])
    program.label(upper)
    _search(program, places[middle:])


def _check(program: Program, name: str, rule: Rule) -> None:
    program.label(name)
    for index, test in enumerate(rule.tests):
        _test(program, test, f"{name} passed {index}")
    program.jump(rule.otherwise)


def _test(program: Program, test: Test, passed: str) -> None:
    program.load(argument_offset(test.argument), test.mask)
    for value in test.values:
        program.jump_if_equal(value, passed if test.unless else test.then)
    if test.unless:
        program.jump(test.then)
    program.label(passed)


def install(confinement: Confinement, scoped_to: int | None) -> None:
    """Put the filter on every thread of this process (TSYNC). Needs no_new_privs.

    Raises:
        OSError: the kernel refuses it.
    """
    architecture = kernel.architecture()
    code = compile_filter(confinement, architecture, scoped_to)
    instructions = kernel.buffer(code)
    fprog = kernel.buffer(struct.pack("=H6xQ", len(code) // 8, kernel.address(instructions)))
    failed = kernel.call(kernel.SECCOMP[architecture], _SET_MODE_FILTER, _FLAG_TSYNC, fprog)
    if failed:  # the id of a thread with a filter of its own, which is no error to the system call
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), f"thread {failed}")
