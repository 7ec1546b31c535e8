"""The answers to system calls whose danger is in their arguments, as data for the filter.

Guarantee: every call of `syscalls.CHECKED` gets exactly one rule for a given confinement.

Rules: a filter sees numbers, never what pointers point to. Hence what hides its meaning behind a pointer is refused
or left to Landlock. Arguments that the kernel takes as 32 bits are compared as 32 bits.

Sources of the numbers: UAPI `linux/sched.h`, `linux/prctl.h`, `linux/socket.h`, `linux/net.h`, `linux/memfd.h`,
`asm-generic/ioctls.h`, `asm-generic/fcntl.h`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, final

from .confinement import Confinement
from .syscalls import CHECKED

#: `refuse` EPERM, `denied` EACCES, `unknown` ENOSYS (the caller has another way), `unsupported` ENOTSUP, `not-a-device`
#: ENOTTY; `ignore` answers success and does nothing.
Answer = Literal["allow", "refuse", "denied", "unknown", "unsupported", "not-a-device", "ignore"]
#: Or: go on with `NETLINK_RULE`.
Verdict = Answer | Literal["netlink"]
_ALL: Final = 0xFFFFFFFF

_CLONE_THREAD: Final = 0x00010000
#: NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET; PTRACE and PARENT, which reach out to the parent.
_CLONE_REFUSED: Final = 0x00020000 | 0x02000000 | 0x7C000000 | 0x00002000 | 0x00008000
_AF_UNIX: Final = 1
_AF_INET: Final = 2
_AF_INET6: Final = 10
_SOCK_STREAM: Final = 1
_AF_NETLINK: Final = 16
_NETLINK_ROUTE: Final = 0
_SOCK_RAW: Final = 3
_SOCK_SEQPACKET: Final = 5
_SOCK_TYPE: Final = _ALL ^ 0o2000000 ^ 0o4000  # without SOCK_CLOEXEC, SOCK_NONBLOCK
_IPPROTO_TCP: Final = 6
_MSG_FASTOPEN: Final = 0x20000000
_MFD_NOEXEC_SEAL: Final = 0x0008
_SET_ID_BITS: Final = 0o6000
_O_CREATES: Final = 0o100 | 0o20000000  # O_CREAT, __O_TMPFILE
_PERSONALITY_QUERY: Final = 0xFFFFFFFF
#: SET_PDEATHSIG GET_PDEATHSIG GET_DUMPABLE SET_DUMPABLE SET_NAME GET_NAME GET_SECCOMP CAPBSET_READ CAPBSET_DROP
#: SET_TIMERSLACK GET_TIMERSLACK SET_NO_NEW_PRIVS GET_NO_NEW_PRIVS SET_THP_DISABLE GET_THP_DISABLE CAP_AMBIENT SET_VMA.
#: Those of capabilities are for a stricter sandbox below; they only take away.
_PRCTL: Final = (1, 2, 3, 4, 15, 16, 21, 23, 24, 29, 30, 38, 39, 41, 42, 47, 0x53564D41)
#: F_SETOWN F_SETSIG F_SETOWN_EX, which send signals to any process of the user (Landlock holds it from ABI 6 on);
#: F_SETLEASE F_NOTIFY, which hinder and watch others in files that may only be read.
_FCNTL_REFUSED: Final = (8, 10, 15, 1024, 1026)
#: TCGETS TCSETS TCSETSW TCSETSF TIOCGPGRP TIOCGWINSZ FIONREAD FIONBIO FIONCLEX FIOCLEX FIOASYNC. Not among them:
#: TIOCSTI and TIOCLINUX, which type into the terminal of the user.
_IOCTL: Final = (0x5401, 0x5402, 0x5403, 0x5404, 0x540F, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0x5452)
#: nvidia-uvm numbers its own commands from 0, and has two above (uvm_linux_ioctl.h); nvidiactl uses the type 'F'.
_IOCTL_UVM: Final = (0x30000001, 0x30000002)
_IOCTL_TYPE_NVIDIA: Final = 0x46
#: Answered with success and without effect: copying a file sets them, and Landlock does not hold them.
_METADATA: Final = ("chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimes", "utimensat", "futimesat")
_XATTR: Final = ("getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr")


@final
@dataclass(frozen=True, slots=True)
class Test:
    """If `argument & mask` is one of `values` (or, with `unless`, none of them): `then`."""

    argument: int
    mask: int
    values: tuple[int, ...]
    then: Verdict
    unless: bool = False


@final
@dataclass(frozen=True, slots=True)
class Rule:
    """Tests in order; the first that holds answers, else `otherwise`."""

    tests: tuple[Test, ...]
    otherwise: Answer


def _only(*tests: tuple[int, int, tuple[int, ...]], otherwise: Answer = "refuse") -> Rule:
    """Allowed if each (argument, mask, values) holds."""
    return Rule(tuple(Test(*test, then=otherwise, unless=True) for test in tests), "allow")


def _always(answer: Answer) -> Rule:
    return Rule((), answer)


def _created(flags: int | None, mode: int) -> Rule:
    """A new file may not have the set-user-ID or set-group-ID bit; without creation, `mode` is not read."""
    tests = () if flags is None else (Test(flags, _O_CREATES, (0,), "allow"),)
    return Rule((*tests, Test(mode, _SET_ID_BITS, (0,), "refuse", unless=True)), "allow")


def _granted(condition: bool, answer: Answer = "refuse") -> Rule:
    return _always("allow" if condition else answer)


NETLINK_RULE: Final = _only((1, _SOCK_TYPE, (_SOCK_RAW,)), (2, _ALL, (_NETLINK_ROUTE,)), otherwise="denied")


def rules(confinement: Confinement, scoped_to: int | None) -> dict[str, Rule]:
    """The rule of each call in `CHECKED`.

    `scoped_to`: the only process that signals may go to, where Landlock does not hold signals; None where it does.
    """
    found = {
        **_of_files(confinement),
        **_of_sockets(confinement),
        **_of_processes(confinement, scoped_to),
        **{name: _always("ignore") for name in _METADATA},
        **{name: _always("unsupported") for name in _XATTR},
    }
    if found.keys() != CHECKED.keys():
        raise ValueError(f"calls without a rule, or the reverse: {sorted(found.keys() ^ CHECKED.keys())}")
    return found


def _of_files(confinement: Confinement) -> dict[str, Rule]:
    unexecutable = _MFD_NOEXEC_SEAL if confinement.allow_exec else 0
    return {
        "open": _created(1, 2),
        "openat": _created(2, 3),
        "openat2": _always("unknown"),  # its flags are behind a pointer; everyone falls back on openat
        "creat": _created(None, 1),
        "mknod": _created(None, 1),
        "mknodat": _created(None, 2),
        # A memory file has no folder for Landlock to judge, so with exec it must be one that cannot be executed.
        "memfd_create": _only((1, unexecutable, (unexecutable,))),
        "ioctl": _ioctl(confinement),
        "fcntl": Rule((Test(1, _ALL, _FCNTL_REFUSED, "denied"),), "allow"),
    }


def _ioctl(confinement: Confinement) -> Rule:
    tests = [Test(1, _ALL, _IOCTL, "allow")]
    if confinement.devices:  # which device, Landlock decides
        tests += [
            Test(1, _ALL, _IOCTL_UVM, "allow"),
            Test(1, _ALL ^ 0xFFF, (0,), "allow"),
            Test(1, 0xFF00, (_IOCTL_TYPE_NVIDIA << 8,), "allow"),
        ]
    return Rule(tuple(tests), "not-a-device")


def _of_sockets(confinement: Confinement) -> dict[str, Rule]:
    connects = bool(confinement.connect) or confinement.unix
    listens = bool(confinement.bind) or confinement.unix
    # TCP Fast Open connects without the hook that Landlock's TCP rules stand on (fixed in Linux 7.2).
    plain = (_MSG_FASTOPEN, (0,))
    connected = (_SOCK_STREAM, _SOCK_SEQPACKET)
    return {
        "socket": _socket(confinement),
        # No datagrams: one could be addressed to any named socket, from an unnamed pair as well.
        "socketpair": _only((0, _ALL, (_AF_UNIX,)), (1, _SOCK_TYPE, connected), otherwise="denied"),
        "connect": _granted(connects, "denied"),
        "bind": _granted(listens, "denied"),
        "listen": _granted(listens, "denied"),
        "accept": _granted(listens, "denied"),
        "accept4": _granted(listens, "denied"),
        "sendto": _only((3, *plain)),
        "sendmsg": _only((2, *plain)),
        "sendmmsg": _only((3, *plain)),
    }


def _socket(confinement: Confinement) -> Rule:
    """TCP and nothing else: Landlock holds no UDP, and MPTCP and SMC reach TCP ports past its rules.

    A program that both connects and listens may ask the kernel for the addresses of this machine (gloo does);
    to change them takes a capability that it does not have.
    """
    families = (_AF_INET, _AF_INET6) * confinement.sockets + (_AF_UNIX,) * confinement.unix
    if not families:
        return _always("denied")
    tcp = _only(
        (0, _ALL, families),
        (1, _SOCK_TYPE, (_SOCK_STREAM,)),
        (2, _ALL, (0, _IPPROTO_TCP)),
        otherwise="denied",
    )
    both = bool(confinement.connect and confinement.bind)
    return Rule((*[Test(0, _ALL, (_AF_NETLINK,), "netlink")] * both, *tcp.tests), tcp.otherwise)


def _of_processes(confinement: Confinement, scoped_to: int | None) -> dict[str, Rule]:
    # Without a thread flag, clone makes a process. The kernel refuses a thread that does not share all memory.
    threads_only = () if confinement.allow_fork else ((0, _CLONE_THREAD, (_CLONE_THREAD,)),)
    signals = _always("allow") if scoped_to is None else _only((0, _ALL, (scoped_to,)))
    return {
        "clone": _only((0, _CLONE_REFUSED, (0,)), *threads_only),
        "clone3": _always("unknown"),  # its flags are behind a pointer; libc falls back on clone
        "fork": _granted(confinement.allow_fork),
        "vfork": _granted(confinement.allow_fork),
        "execve": _granted(confinement.allow_exec),
        "execveat": _always("refuse"),  # runs a file that has no name
        "kill": signals,
        "tgkill": signals,
        "tkill": _granted(scoped_to is None),
        # A worker may not stay when its parent dies: it told the kernel so itself, before it was confined.
        "prctl": _only((0, _ALL, _PRCTL if confinement.allow_fork else _PRCTL[1:])),
        "prlimit64": _only((0, _ALL, (0,))),
        "setpriority": _only((0, _ALL, (0,)), (1, _ALL, (0,))),
        "sched_setaffinity": _only((0, _ALL, (0,))),
        "personality": _only((0, _ALL, (_PERSONALITY_QUERY,))),
    }
