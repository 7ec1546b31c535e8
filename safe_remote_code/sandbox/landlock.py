"""Landlock: which files, which TCP ports, which processes and abstract sockets can be reached.

Guarantee: only rights of a known ABI are asked for, by name; a right that this kernel does not have is reported.
Everything that is handled and not granted is refused, for the calling thread and what it starts; with ABI 8 for
every thread of the process.

It does not hold: metadata (mode, times, existence of files; seccomp answers these), UDP, hosts, files that are open
already, and before ABI 9 connections to named UNIX sockets.

Sources: UAPI `linux/landlock.h`, Documentation/userspace-api/landlock.rst (the history of the ABI at its end).
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

from . import kernel
from .confinement import ANY_PORT, Confinement

EXECUTE: Final = 1 << 0
WRITE_FILE: Final = 1 << 1
READ_FILE: Final = 1 << 2
READ_DIR: Final = 1 << 3
REMOVE_DIR: Final = 1 << 4
REMOVE_FILE: Final = 1 << 5
MAKE_CHAR: Final = 1 << 6
MAKE_DIR: Final = 1 << 7
MAKE_REG: Final = 1 << 8
MAKE_SOCK: Final = 1 << 9
MAKE_FIFO: Final = 1 << 10
MAKE_BLOCK: Final = 1 << 11
MAKE_SYM: Final = 1 << 12
REFER: Final = 1 << 13
TRUNCATE: Final = 1 << 14
IOCTL_DEV: Final = 1 << 15
RESOLVE_UNIX: Final = 1 << 16
BIND_TCP: Final = 1 << 0
CONNECT_TCP: Final = 1 << 1
SCOPE_ABSTRACT_UNIX_SOCKET: Final = 1 << 0
SCOPE_SIGNAL: Final = 1 << 1

_CREATE_RULESET_VERSION: Final = 1 << 0
_RESTRICT_SELF_TSYNC: Final = 1 << 3
_RULE_PATH_BENEATH: Final = 1
_RULE_NET_PORT: Final = 2
TRUNCATE_ABI: Final = 3
#: File rights by the ABI that brought them.
_FILE_RIGHTS: Final = ((1, (1 << 13) - 1), (2, REFER), (TRUNCATE_ABI, TRUNCATE), (5, IOCTL_DEV), (9, RESOLVE_UNIX))
_NAMES: Final = {REFER: "REFER", TRUNCATE: "TRUNCATE", IOCTL_DEV: "IOCTL_DEV"}
TCP_ABI: Final = 4
SCOPE_ABI: Final = 6
ALL_THREADS_ABI: Final = 8
UNIX_ABI: Final = 9
_NEWEST_ABI: Final = 9
_OF_FILES: Final = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV | RESOLVE_UNIX

_READ: Final = READ_FILE | READ_DIR
#: Not among them: MAKE_CHAR and MAKE_BLOCK (devices), EXECUTE, IOCTL_DEV.
_WRITE: Final = (
    _READ | WRITE_FILE | TRUNCATE | REFER | REMOVE_DIR | REMOVE_FILE
    | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_SYM
)  # fmt: skip
_DEVICE: Final = READ_FILE | WRITE_FILE | IOCTL_DEV


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ruleset:
    """What is handled, of which what is granted, at one ABI. `absent` are granted paths that do not exist."""

    abi: int
    files: int
    tcp: int
    scope: int
    absent: tuple[str, ...]
    descriptor: int


def abi() -> int:
    """The ABI of this kernel, 0 if it has no Landlock or has it switched off."""
    try:
        return kernel.call(kernel.LANDLOCK_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    except OSError:
        return 0


def file_rights(version: int) -> int:
    """All file rights that ABI `version` knows, of those that this module knows."""
    return sum(rights for since, rights in _FILE_RIGHTS if since <= version)


def missing_file_rights(version: int) -> tuple[str, ...]:
    """Names of the file rights that the boundary wants and ABI `version` lacks."""
    return tuple(name for right, name in _NAMES.items() if not file_rights(version) & right)


def _tcp_rights(confinement: Confinement, version: int) -> int:
    if version < TCP_ABI:
        return 0
    binds = 0 if ANY_PORT in confinement.bind else BIND_TCP
    return binds | (0 if ANY_PORT in confinement.connect else CONNECT_TCP)


def prepare(confinement: Confinement) -> Ruleset:
    """Make the ruleset of `confinement`; nothing is enforced yet.

    Raises:
        OSError: the kernel refuses a rule, or a granted path cannot be opened although it is there.
    """
    version = min(abi(), _NEWEST_ABI)
    files, tcp = file_rights(version), _tcp_rights(confinement, version)
    scope = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL if version >= SCOPE_ABI else 0
    size = 8 if version < TCP_ABI else 16 if version < SCOPE_ABI else 24
    attributes = struct.pack("=QQQ", files, tcp, scope)[:size]
    descriptor = kernel.call(kernel.LANDLOCK_CREATE_RULESET, kernel.buffer(attributes), size, 0)
    try:
        absent = _add_paths(descriptor, confinement, files)
        if tcp & CONNECT_TCP:
            _add_ports(descriptor, confinement.connect, CONNECT_TCP)
        if tcp & BIND_TCP:
            _add_ports(descriptor, confinement.bind, BIND_TCP)
    except BaseException:
        os.close(descriptor)
        raise
    return Ruleset(abi=version, files=files, tcp=tcp, scope=scope, absent=absent, descriptor=descriptor)


def _add_paths(descriptor: int, confinement: Confinement, handled: int) -> tuple[str, ...]:
    granted = (
        (confinement.names, READ_DIR),
        (confinement.read, _READ),
        (confinement.write, _WRITE),
        (confinement.execute, READ_FILE | EXECUTE),
        (confinement.devices, _DEVICE),
    )
    pairs = ((path, rights) for paths, rights in granted for path in paths)
    return tuple(path for path, rights in pairs if not _add_path(descriptor, path, rights & handled))


def _add_path(descriptor: int, path: str, rights: int) -> bool:
    """Grant `rights` at and below `path`; False if there is no such file for this user."""
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # what cannot be reached grants nothing
        return False
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_FILES
        if not rights:
            return True  # nothing of what was granted is about a file; the kernel takes no empty rule
        rule = kernel.buffer(struct.pack("=Qi", rights, place))
        kernel.call(kernel.LANDLOCK_ADD_RULE, descriptor, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(place)
    return True


def _add_ports(descriptor: int, ports: Iterable[int], right: int) -> None:
    for port in ports:
        rule = kernel.buffer(struct.pack("=QQ", right, port))
        kernel.call(kernel.LANDLOCK_ADD_RULE, descriptor, _RULE_NET_PORT, rule, 0)


def enforce(ruleset: Ruleset) -> None:
    """Restrict this thread, or with ABI 8 this process, and everything started from here on. Needs no_new_privs.

    Raises:
        OSError: the kernel refuses it.
    """
    flags = _RESTRICT_SELF_TSYNC if ruleset.abi >= ALL_THREADS_ABI else 0
    kernel.call(kernel.LANDLOCK_RESTRICT_SELF, ruleset.descriptor, flags)
