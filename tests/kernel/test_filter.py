"""The filter as a program: which answer it gives to which call, worked out by running its instructions here."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from safe_remote_code.sandbox import Confinement
from safe_remote_code.sandbox.bpf import Program
from safe_remote_code.sandbox.kernel import Architecture
from safe_remote_code.sandbox.seccomp import compile_filter
from safe_remote_code.sandbox.syscalls import ALLOWED, CHECKED

_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_NARROW = Confinement()
_WIDE = Confinement(allow_exec=True, allow_fork=True, connect=(80,), bind=(80,), unix=True, devices=("/dev/x",))


def answer(
    confinement: Confinement, number: int, *arguments: int, architecture: Architecture = "x86_64",
    arch: int | None = None, scoped_to: int | None = None,
) -> int:  # fmt: skip
    """Run the filter on one call, as the kernel does."""
    code = compile_filter(confinement, architecture, scoped_to)
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=iIQ6Q", number, arch or _ARCH[architecture], 0, *words)
    place, value = 0, 0
    while True:
        opcode, if_true, if_false, k = struct.unpack_from("=HBBI", code, place * 8)
        place += 1
        match opcode:
            case 0x20:
                (value,) = struct.unpack_from("=I", data, k)
            case 0x54:
                value &= k
            case 0x05:
                place += k
            case 0x15:
                place += if_true if value == k else if_false
            case 0x35:
                place += if_true if value >= k else if_false
            case 0x06:
                return int(k)
            case _:
                raise AssertionError(hex(opcode))


def refusal(code: int) -> int:
    return 0x00050000 | code


@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("confinement", [_NARROW, _WIDE])
def test_a_number_is_allowed_only_if_a_table_names_it(confinement: Confinement, column: int) -> None:
    architecture: Architecture = ("x86_64", "aarch64")[column]  # type: ignore[assignment]
    allowed = {row[column] for row in ALLOWED.values()}
    checked = {row[column] for row in CHECKED.values()}
    for number in range(600):
        found = answer(confinement, number, architecture=architecture)
        if number in allowed:
            assert found == _ALLOW, number
        elif number not in checked:
            assert found == refusal(errno.EPERM if number < 471 else errno.ENOSYS), number


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("ptrace", 101), ("process_vm_readv", 310), ("process_vm_writev", 311), ("bpf", 321), ("mount", 165),
        ("umount2", 166), ("unshare", 272), ("setns", 308), ("add_key", 248), ("request_key", 249), ("keyctl", 250),
        ("io_uring_setup", 425), ("io_uring_enter", 426), ("userfaultfd", 323), ("perf_event_open", 298),
        ("init_module", 175), ("finit_module", 313), ("delete_module", 176), ("kexec_load", 246), ("reboot", 169),
        ("pidfd_getfd", 438), ("pidfd_send_signal", 424), ("open_by_handle_at", 304), ("name_to_handle_at", 303),
        ("execveat", 322), ("chroot", 161), ("pivot_root", 155), ("swapon", 167), ("settimeofday", 164),
        ("iopl", 172), ("modify_ldt", 154), ("quotactl", 179), ("acct", 163), ("fanotify_init", 300),
        ("move_mount", 429), ("fsopen", 430), ("mount_setattr", 442), ("memfd_secret", 447), ("process_madvise", 440),
        ("setuid", 105), ("setresuid", 117), ("capset", 126), ("syslog", 103), ("kcmp", 312), ("shmget", 29),
        ("mq_open", 240), ("chown", 92), ("setxattr", 188), ("inotify_add_watch", 254), ("uselib", 134),
    ],
)  # fmt: skip
def test_what_reaches_out_of_the_process_is_refused_however_wide_the_confinement(name: str, number: int) -> None:
    assert answer(_WIDE, number) == refusal(errno.EPERM), name


@pytest.mark.parametrize("number", [0, 39, 59])
def test_other_architectures_are_killed_and_x32_numbers_refused(number: int) -> None:
    for arch in (0x40000003, 0xC00000B7, 0):
        assert answer(_WIDE, number, arch=arch or 1) == _KILL
    assert answer(_WIDE, 0x40000000 | number) == refusal(errno.EPERM)
    assert answer(_WIDE, -1) == refusal(errno.EPERM)


def test_sockets_are_tcp_or_none() -> None:
    tcp = Confinement(connect=(443,))
    assert answer(_NARROW, 41, 2, 1, 0) == refusal(errno.EACCES)
    for arguments in [(2, 1, 0), (2, 1, 6), (10, 1 | 0o2000000 | 0o4000, 0)]:
        assert answer(tcp, 41, *arguments) == _ALLOW
    for arguments in [(2, 2, 0), (2, 3, 1), (2, 1, 262), (2, 1, 132), (43, 1, 0), (16, 3, 0), (1, 1, 0), (17, 3, 3), (38, 5, 0)]:
        assert answer(tcp, 41, *arguments) == refusal(errno.EACCES), arguments
    assert answer(_WIDE, 41, 16, 3 | 0o2000000, 0) == _ALLOW, "addresses of this machine, for gloo"
    for arguments in [(16, 3, 12), (16, 1, 0), (2, 3, 0), (2, 3, 6)]:
        assert answer(_WIDE, 41, *arguments) == refusal(errno.EACCES), arguments
    assert answer(tcp, 42) == _ALLOW
    assert answer(tcp, 49) == answer(tcp, 50) == answer(tcp, 288) == refusal(errno.EACCES)
    assert answer(Confinement(bind=(80,)), 42) == refusal(errno.EACCES)


@pytest.mark.parametrize(("number", "place"), [(44, 3), (46, 2), (307, 3)])
def test_a_message_cannot_connect(number: int, place: int) -> None:
    for flags in (0x20000000, 0x20004000):
        assert answer(_WIDE, number, *[0] * place, flags) == refusal(errno.EPERM)
    assert answer(_WIDE, number, *[0] * place, 0x4000) == _ALLOW


def test_pairs_are_connected_for_good() -> None:
    for kind, allowed in ((1, True), (5, True), (2, False), (3, False)):
        assert (answer(_NARROW, 53, 1, kind | 0o2000000, 0) == _ALLOW) == allowed


def test_clone_makes_threads_and_only_if_granted_processes() -> None:
    thread, fork = 0x3D0F00, 0x1200011
    assert answer(_NARROW, 56, thread) == answer(_WIDE, 56, thread) == answer(_WIDE, 56, fork) == _ALLOW
    assert answer(_NARROW, 56, fork) == refusal(errno.EPERM)
    for flag in (17, 25, 26, 27, 28, 29, 30):  # CLONE_NEWNS, NEWCGROUP … NEWNET
        for base in (thread, fork):
            assert answer(_WIDE, 56, base | 1 << flag) == refusal(errno.EPERM), flag
    assert answer(_WIDE, 435) == refusal(errno.ENOSYS)


def test_upper_halves_of_arguments_do_not_hide_anything() -> None:
    high = 0xFFFFFFFF << 32
    assert answer(_WIDE, 56, high | 0x10000011) == refusal(errno.EPERM)
    assert answer(_WIDE, 41, high | 17, 3, 0) == refusal(errno.EACCES)
    assert answer(_WIDE, 16, 0, high | 0x5412) == refusal(errno.ENOTTY)


def test_a_memory_file_is_never_executable() -> None:
    assert answer(_WIDE, 319, 0, 1) == answer(_WIDE, 319, 0, 0x10) == refusal(errno.EPERM)
    assert answer(_WIDE, 319, 0, 1 | 8) == _ALLOW
    assert answer(_NARROW, 319, 0, 1) == _ALLOW, "without exec it is just memory"


def test_new_files_have_no_set_id_bit() -> None:
    creat = 0o101
    assert answer(_WIDE, 257, 0, 0, creat, 0o4755) == answer(_WIDE, 2, 0, creat, 0o2755) == refusal(errno.EPERM)
    assert answer(_WIDE, 85, 0, 0o4755) == answer(_WIDE, 133, 0, 0o4755) == answer(_WIDE, 259, 0, 0, 0o104755) == refusal(errno.EPERM)
    assert answer(_WIDE, 257, 0, 0, creat, 0o755) == answer(_WIDE, 257, 0, 0, 0, 0xFFFF) == _ALLOW
    assert answer(_WIDE, 437) == refusal(errno.ENOSYS)


def test_terminals_take_no_input_and_devices_only_their_own_commands() -> None:
    for confinement in (_NARROW, _WIDE):
        assert answer(confinement, 16, 0, 0x5413) == _ALLOW
        assert answer(confinement, 16, 0, 0x5412) == answer(confinement, 16, 0, 0x541C) == refusal(errno.ENOTTY)
    assert answer(_NARROW, 16, 0, 0xC00846D6) == refusal(errno.ENOTTY)
    assert answer(_WIDE, 16, 0, 0xC00846D6) == answer(_WIDE, 16, 0, 0x30000001) == _ALLOW


def test_only_this_process_is_set_about() -> None:
    for number in (302, 203):
        assert answer(_WIDE, number, 0) == _ALLOW
        assert answer(_WIDE, number, 1) == refusal(errno.EPERM)
    assert answer(_WIDE, 141, 0, 0) == _ALLOW
    assert answer(_WIDE, 141, 0, 5) == answer(_WIDE, 141, 1, 0) == refusal(errno.EPERM)
    assert answer(_WIDE, 157, 15) == _ALLOW
    for option in (22, 59, 0x59616D61, 35, 28, 36):  # SET_SECCOMP, SUD, PTRACER, SET_MM, SECUREBITS, SUBREAPER
        assert answer(_WIDE, 157, option) == refusal(errno.EPERM)
    assert answer(_WIDE, 135, 0xFFFFFFFF) == _ALLOW
    assert answer(_WIDE, 135, 0) == refusal(errno.EPERM)


def test_signals_stay_inside_by_number_where_landlock_cannot_hold_them() -> None:
    assert answer(_NARROW, 62, 77, scoped_to=77) == answer(_NARROW, 234, 77, 78, 9, scoped_to=77) == _ALLOW
    for call, first in ((62, 78), (62, 0), (62, 2**32 - 1), (234, 78), (200, 77)):
        assert answer(_NARROW, call, first, scoped_to=77) == refusal(errno.EPERM)


def test_changes_of_metadata_are_answered_and_not_made() -> None:
    for number in (90, 91, 268, 452, 280):
        assert answer(_WIDE, number) == refusal(0)


@pytest.mark.parametrize(
    ("header", "column"),
    [("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", 0), ("/usr/include/asm-generic/unistd.h", 1)],
)
def test_numbers_are_those_of_the_kernel_headers(header: str, column: int) -> None:
    if not Path(header).is_file():
        pytest.skip(f"no {header} here")
    text = Path(header).read_text(encoding="utf-8")
    known = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\s", text)}
    known.setdefault("newfstatat", known.get("fstatat", 0))
    ours = {name: row[column] for name, row in {**ALLOWED, **CHECKED}.items()}
    compared = {name for name, number in ours.items() if number is not None and name in known}
    assert len(compared) > 180
    assert {name: known[name] for name in compared} == {name: ours[name] for name in compared}
    absent = {name for name, number in ours.items() if number is not None and name not in known}
    assert absent <= {"fchmodat2", "futex_waitv"}, "newer than the headers here"


def test_labels_lie_ahead_and_are_set_once() -> None:
    program = Program()
    program.label("start")
    with pytest.raises(ValueError, match="twice"):
        program.label("start")
    program.jump("start")
    with pytest.raises(ValueError, match="not ahead"):
        program.assemble()
    with pytest.raises(ValueError, match="1 to 4096"):
        Program().assemble()
