"""What native code would try. Each probe does one thing by system call and returns what it got; refused, it raises OSError.

The numbers are written here again (x86-64, `asm/unistd_64.h`), not taken from the package. A probe gets the `Stage`:
paths, ports and the process that it attacks, all of them made for this test.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import pty
import resource
import signal
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
AT_FDCWD = -100


@dataclass(frozen=True)
class Stage:
    outside: str  # a folder that is not granted, with the file `secret` and the socket `socket`
    inside: str  # a folder that may be written
    parent: int  # the process that started this one; dispensable
    tcp: int  # a port on which something listens
    granted_tcp: int  # another one, which the confinement may grant
    abstract: str  # the name of a listening abstract socket
    inherited: int  # a descriptor of `secret`, opened before
    inherited_folder: int  # a descriptor of `outside`, opened before
    marker: int  # the address of a secret in the parent's memory

    @property
    def secret(self) -> str:
        return f"{self.outside}/secret"


class NotHere(Exception):
    """The machine has nothing to attack with this; the reason."""


def call(number: int, *arguments: Any) -> int:
    words = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    result = LIBC.syscall(ctypes.c_long(number), *words)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return int(result)


def path(text: str) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(os.fsencode(text))


def content(descriptor: int) -> str:
    return os.read(descriptor, 100).decode()


def opened(name: str, flags: int = os.O_RDONLY) -> int:
    return call(257, AT_FDCWD, path(name), flags, 0)


# --- files


def read_file(stage: Stage) -> str:
    return content(opened(stage.secret))


def read_by_old_open(stage: Stage) -> str:
    return content(call(2, path(stage.secret), os.O_RDONLY, 0))


def read_by_openat2(stage: Stage) -> str:
    return content(call(437, AT_FDCWD, path(stage.secret), ctypes.create_string_buffer(24), 24))


def read_through_dot_dot(stage: Stage) -> str:
    return content(opened(f"{stage.inside}/../outside/secret"))


def read_through_symlink(stage: Stage) -> str:
    call(266, path(stage.secret), AT_FDCWD, path(f"{stage.inside}/link"))
    return content(opened(f"{stage.inside}/link"))


def read_through_folder_symlink(stage: Stage) -> str:
    call(266, path(stage.outside), AT_FDCWD, path(f"{stage.inside}/folder"))
    return content(opened(f"{stage.inside}/folder/secret"))


def read_through_hard_link(stage: Stage) -> str:
    call(265, AT_FDCWD, path(stage.secret), AT_FDCWD, path(f"{stage.inside}/hard"), 0)
    return content(opened(f"{stage.inside}/hard"))


def read_after_rename(stage: Stage) -> str:
    call(82, path(stage.secret), path(f"{stage.inside}/moved"))
    return content(opened(f"{stage.inside}/moved"))


def read_after_folder_rename(stage: Stage) -> str:
    call(82, path(stage.outside), path(f"{stage.inside}/moved"))
    return content(opened(f"{stage.inside}/moved/secret"))


def read_after_exchange(stage: Stage) -> str:
    os.close(os.open(f"{stage.inside}/mine", os.O_CREAT | os.O_WRONLY))
    call(316, AT_FDCWD, path(stage.secret), AT_FDCWD, path(f"{stage.inside}/mine"), 2)  # RENAME_EXCHANGE
    return content(opened(f"{stage.inside}/mine"))


def read_inherited_descriptor(stage: Stage) -> str:
    os.lseek(stage.inherited, 0, os.SEEK_SET)
    return content(stage.inherited)


def read_below_inherited_folder(stage: Stage) -> str:
    return content(call(257, stage.inherited_folder, path("secret"), os.O_RDONLY, 0))


def read_through_proc_root(stage: Stage) -> str:
    return content(opened(f"/proc/self/root{stage.secret}"))


def read_through_parents_root(stage: Stage) -> str:
    return content(opened(f"/proc/{stage.parent}/root{stage.secret}"))


def read_through_parents_descriptor(stage: Stage) -> str:
    return content(opened(f"/proc/{stage.parent}/fd/{stage.inherited}"))


def read_by_handle(stage: Stage) -> str:
    handle = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    call(303, AT_FDCWD, path(stage.secret), handle, ctypes.byref(mount), 0)
    folder = os.open(stage.outside, os.O_RDONLY)
    return content(call(304, folder, handle, os.O_RDONLY))


def name_to_handle(stage: Stage) -> int:
    handle = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0) + bytes(128))
    return 1 + call(303, AT_FDCWD, path(stage.secret), handle, ctypes.byref(ctypes.c_int()), 0)


def list_folder(stage: Stage) -> str:
    folder = opened(stage.outside, os.O_RDONLY | os.O_DIRECTORY)
    return "secret" * (call(217, folder, ctypes.create_string_buffer(4096), 4096) > 0)


def watch_folder(stage: Stage) -> int:
    return call(254, call(294, 0), path(stage.outside), 0x100)  # IN_CREATE


def write_file(stage: Stage) -> int:
    return os.write(call(257, AT_FDCWD, path(f"{stage.outside}/new"), os.O_CREAT | os.O_WRONLY, 0o600), b"x")


def overwrite_file(stage: Stage) -> int:
    return os.write(opened(stage.secret, os.O_WRONLY), b"x")


def truncate_file(stage: Stage) -> int:
    return 1 + call(76, path(stage.secret), 0)


def truncate_on_open(stage: Stage) -> int:
    return opened(stage.secret, os.O_RDONLY | os.O_TRUNC)


def remove_file(stage: Stage) -> int:
    return 1 + call(87, path(stage.secret))


def make_folder(stage: Stage) -> int:
    return 1 + call(83, path(f"{stage.outside}/folder"), 0o700)


def make_symlink(stage: Stage) -> int:
    return 1 + call(266, path("/"), AT_FDCWD, path(f"{stage.outside}/link"))


def make_named_socket_outside(stage: Stage) -> int:
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"{stage.outside}/mine")
    return 1


def make_device(stage: Stage) -> int:
    return 1 + call(133, path(f"{stage.inside}/memory"), 0o20666, os.makedev(1, 1))


def make_set_user_id_file(stage: Stage) -> int:
    descriptor = call(257, AT_FDCWD, path(f"{stage.inside}/suid"), os.O_CREAT | os.O_WRONLY, 0o4755)
    return os.fstat(descriptor).st_mode & 0o4000


def _changed(stage: Stage, number: int, *arguments: Any) -> str:
    before = os.stat(stage.secret)
    call(number, *arguments)
    after = os.stat(stage.secret)
    return "changed" if before[:9] != after[:9] else ""


def change_mode(stage: Stage) -> str:
    return _changed(stage, 90, path(stage.secret), 0o777)


def change_mode_by_fchmodat2(stage: Stage) -> str:
    return _changed(stage, 452, AT_FDCWD, path(stage.secret), 0o777, 0)


def change_owner(stage: Stage) -> str:
    if os.geteuid():
        raise NotHere("only root may give a file away")
    return _changed(stage, 92, path(stage.secret), 65534, 65534)


def change_times(stage: Stage) -> str:
    return _changed(stage, 280, AT_FDCWD, path(stage.secret), ctypes.create_string_buffer(32), 0)


def set_attribute(stage: Stage) -> int:
    return 1 + call(188, path(stage.secret), path("user.probe"), path("x"), 1, 0)


def read_attribute(stage: Stage) -> str:
    value = ctypes.create_string_buffer(100)
    call(191, path(stage.secret), path("user.known"), value, 100)
    return value.value.decode()


# --- programs


def _waited(child: int) -> str:
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        raise OSError(status, os.strerror(status))
    return "ran"


def _child(action: Callable[[], object]) -> str:
    """Do it in a child made by the old fork call; the exit code is the errno."""
    child = call(57)
    if child == 0:
        try:
            action()
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    return _waited(child)


def fork(stage: Stage) -> str:
    return _child(lambda: None)


def _arguments(*words: str) -> Any:
    return (ctypes.c_char_p * (len(words) + 1))(*map(os.fsencode, words), None)


def execute_program(stage: Stage) -> str:
    return _child(lambda: call(59, path("/bin/true"), _arguments("true"), _arguments()))


def replace_itself(stage: Stage) -> str:
    call(59, path("/bin/echo"), _arguments("echo", '{"got": "ran"}'), _arguments())
    return ""


def execute_what_was_written(stage: Stage) -> str:
    with open("/bin/true", "rb") as source, open(f"{stage.inside}/true", "wb") as copy:
        copy.write(source.read())
    os.chmod(f"{stage.inside}/true", 0o755)
    if not os.access(f"{stage.inside}/true", os.X_OK):  # the mode was not changed; ask for it at creation
        os.unlink(f"{stage.inside}/true")
        descriptor = os.open(f"{stage.inside}/true", os.O_CREAT | os.O_WRONLY, 0o755)
        with open("/bin/true", "rb") as source:
            os.write(descriptor, source.read())
        os.close(descriptor)
    return _child(lambda: call(59, path(f"{stage.inside}/true"), _arguments("true"), _arguments()))


def _memory_file(flags: int) -> int:
    descriptor = call(319, path("program"), flags)
    with open("/bin/true", "rb") as source:
        os.write(descriptor, source.read())
    return descriptor


def execute_memory_file(stage: Stage) -> str:
    descriptor = _memory_file(0)
    return _child(lambda: call(322, descriptor, path(""), _arguments("true"), _arguments(), 0x1000))


def execute_memory_file_by_name(stage: Stage) -> str:
    descriptor = _memory_file(0)
    return _child(lambda: call(59, path(f"/proc/self/fd/{descriptor}"), _arguments("true"), _arguments()))


def execute_memory_file_made_executable(stage: Stage) -> str:
    descriptor = _memory_file(8 if os.environ.get("CONFINED") else 0)  # MFD_NOEXEC_SEAL, all that is left
    os.fchmod(descriptor, 0o755)
    return _child(lambda: call(59, path(f"/proc/self/fd/{descriptor}"), _arguments("true"), _arguments()))


def execute_by_descriptor(stage: Stage) -> str:
    descriptor = os.open("/bin/true", os.O_RDONLY)
    return _child(lambda: call(322, descriptor, path(""), _arguments("true"), _arguments(), 0x1000))


# --- other processes


def kill_parent(stage: Stage) -> str:
    call(62, stage.parent, signal.SIGKILL)
    return "killed"


def kill_parents_group(stage: Stage) -> int:
    return 1 + call(62, -os.getpgid(stage.parent), 0)


def kill_parents_thread(stage: Stage) -> int:
    return 1 + call(234, stage.parent, stage.parent, 0)


def kill_parent_by_tkill(stage: Stage) -> int:
    return 1 + call(200, stage.parent, 0)


def queue_signal_to_parent(stage: Stage) -> int:
    info = ctypes.create_string_buffer(struct.pack("=iii", 0, 0, -1) + bytes(116))
    return 1 + call(129, stage.parent, 0, info)


def signal_parent_by_pidfd(stage: Stage) -> int:
    return 1 + call(424, call(434, stage.parent, 0), 0, None, 0)


def signal_parent_by_owner(stage: Stage) -> str:
    """SIGIO, of which one dies, for input on a socket whose owner is said to be the parent."""
    left, right = socket.socketpair()
    fcntl.fcntl(left, fcntl.F_SETOWN, stage.parent)
    fcntl.fcntl(left, fcntl.F_SETFL, fcntl.fcntl(left, fcntl.F_GETFL) | os.O_ASYNC)
    right.send(b"x")
    time.sleep(0.3)
    return "killed" if os.getppid() != stage.parent else ""


def attach_to_parent(stage: Stage) -> int:
    call(101, 16, stage.parent, 0, 0)
    os.waitpid(stage.parent, 0x40000000)  # __WALL
    return 1 + call(101, 17, stage.parent, 0, 0)


def seize_parent(stage: Stage) -> int:
    return 1 + call(101, 0x4206, stage.parent, 0, 0)


def read_parents_memory(stage: Stage) -> str:
    descriptor = opened(f"/proc/{stage.parent}/mem")
    return os.pread(descriptor, 6, stage.marker).decode()


def read_parents_memory_by_vm_readv(stage: Stage) -> str:
    found = ctypes.create_string_buffer(6)
    local = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(found), 6))
    remote = ctypes.create_string_buffer(struct.pack("=QQ", stage.marker, 6))
    call(310, stage.parent, local, 1, remote, 1, 0)
    return found.raw.decode()


def write_parents_memory(stage: Stage) -> int:
    new = ctypes.create_string_buffer(b"hacked")
    local = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(new), 6))
    remote = ctypes.create_string_buffer(struct.pack("=QQ", stage.marker, 6))
    return call(311, stage.parent, local, 1, remote, 1, 0)


def read_parents_environment(stage: Stage) -> str:
    return "decoy" if b"DECOY=" in os.read(opened(f"/proc/{stage.parent}/environ"), 10**6) else ""


def read_parents_map(stage: Stage) -> str:
    return content(opened(f"/proc/{stage.parent}/maps"))


def follow_parents_folder(stage: Stage) -> str:
    return os.readlink(f"/proc/{stage.parent}/cwd")


def take_parents_descriptor(stage: Stage) -> str:
    descriptor = call(438, call(434, stage.parent, 0), stage.inherited, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return content(descriptor)


def compare_with_parent(stage: Stage) -> int:
    return 1 + call(312, os.getpid(), stage.parent, 0, 0, 0)


def change_parents_limits(stage: Stage) -> int:
    return 1 + call(302, stage.parent, 4, struct.pack("=QQ", 0, 0), None)


def change_parents_priority(stage: Stage) -> int:
    return 1 + call(141, 0, stage.parent, 19)


def change_parents_processors(stage: Stage) -> int:
    return 1 + call(203, stage.parent, 8, ctypes.create_string_buffer(struct.pack("=Q", 1)))


def raise_own_limit(stage: Stage) -> int:
    new = struct.pack("=QQ", 10**6, 10**6)
    return 1 + call(160, resource.RLIMIT_CORE, ctypes.create_string_buffer(new))


# --- sockets


def connect_tcp(stage: Stage) -> str:
    client = socket.socket()
    client.connect(("127.0.0.1", stage.tcp))
    return _greeting(client)


def _greeting(connection: socket.socket) -> str:
    connection.settimeout(5)
    return connection.recv(100).decode()


def connect_tcp_by_fast_open(stage: Stage) -> str:
    client = socket.socket()
    client.sendto(b"hello", 0x20000000, ("127.0.0.1", stage.tcp))
    return _greeting(client)


def connect_tcp_by_fast_open_message(stage: Stage) -> str:
    client = socket.socket()
    client.sendmsg([b"hello"], (), 0x20000000, ("127.0.0.1", stage.tcp))
    return _greeting(client)


def connect_tcp_by_fast_open_option(stage: Stage) -> str:
    client = socket.socket()
    client.setsockopt(6, 30, 1)  # TCP_FASTOPEN_CONNECT
    client.connect(("127.0.0.1", stage.tcp))
    client.send(b"hello")
    return _greeting(client)


def connect_by_multipath_tcp(stage: Stage) -> str:
    try:
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
    except OSError as error:
        if error.errno in (92, 93):
            raise NotHere("the kernel has no MPTCP") from None
        raise
    client.connect(("127.0.0.1", stage.tcp))
    return _greeting(client)


def listen_on_any_port(stage: Stage) -> int:
    server = socket.socket()
    call(50, server.fileno(), 5)  # without bind, the kernel picks a port
    return int(server.getsockname()[1])


def bind_tcp(stage: Stage) -> int:
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    return int(server.getsockname()[1])


def send_datagram(stage: Stage) -> int:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))


def raw_socket(stage: Stage) -> int:
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).fileno()


def netlink_socket(stage: Stage) -> int:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).fileno()


def vsock_socket(stage: Stage) -> int:
    return _exotic_socket(40, "AF_VSOCK")


def crypto_socket(stage: Stage) -> int:
    return _exotic_socket(38, "AF_ALG", socket.SOCK_SEQPACKET)


def _exotic_socket(family: int, name: str, kind: int = socket.SOCK_STREAM) -> int:
    try:
        return call(41, family, kind, 0)
    except OSError as error:
        if error.errno == 97:
            raise NotHere(f"the kernel has no {name}") from None
        raise


def connect_named_socket(stage: Stage) -> str:
    client = socket.socket(socket.AF_UNIX)
    client.connect(f"{stage.outside}/socket")
    return _greeting(client)


def connect_abstract_socket(stage: Stage) -> str:
    client = socket.socket(socket.AF_UNIX)
    client.connect("\0" + stage.abstract)
    return _greeting(client)


def send_from_pair_to_named_socket(stage: Stage) -> int:
    left, _right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return left.sendto(b"x", f"{stage.outside}/datagram")


def reconnect_pair_to_named_socket(stage: Stage) -> str:
    """Natively a pair is connected for good as well; the way through is a fresh socket, which is what works there."""
    left, _right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    if not os.environ.get("CONFINED"):
        left = socket.socket(socket.AF_UNIX)
    left.connect(f"{stage.outside}/socket")
    return _greeting(left)


# --- the kernel itself


def io_uring(stage: Stage) -> int:
    return call(425, 4, ctypes.create_string_buffer(120))


def bpf(stage: Stage) -> int:
    attributes = struct.pack("=IIII", 2, 4, 4, 1) + bytes(112)  # BPF_MAP_CREATE of an array
    return call(321, 0, ctypes.create_string_buffer(attributes), 128)


def performance_event(stage: Stage) -> int:
    attributes = ctypes.create_string_buffer(struct.pack("=IIQ", 1, 112, 0) + bytes(96))
    return call(298, attributes, 0, -1, -1, 0)


def user_fault(stage: Stage) -> int:
    return call(323, 1)  # UFFD_USER_MODE_ONLY


def add_key(stage: Stage) -> int:
    return call(248, path("user"), path("probe"), path("x"), 1, -3)


def session_key_ring(stage: Stage) -> int:
    return call(250, 0, -3, 1)


def new_user_namespace(stage: Stage) -> int:
    return 1 + call(272, 0x10000000)


def new_mount_namespace(stage: Stage) -> int:
    return 1 + call(272, 0x00020000)


def clone_with_namespace(stage: Stage) -> str:
    child = call(56, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return _waited(child)


def clone3_with_namespace(stage: Stage) -> str:
    child = call(435, ctypes.create_string_buffer(struct.pack("=8Q", 0x10000000, 0, 0, 0, 17, 0, 0, 0)), 64)
    if child == 0:
        os._exit(0)
    return _waited(child)


def enter_namespace(stage: Stage) -> int:
    return 1 + call(308, os.open("/proc/self/ns/uts", os.O_RDONLY), 0)


def mount(stage: Stage) -> int:
    call(272, 0x00020000)  # in a mount namespace of its own
    return 1 + call(165, path("none"), path(stage.inside), path("tmpfs"), 0, None)


def mount_by_new_calls(stage: Stage) -> int:
    return call(430, path("tmpfs"), 0)


def open_tree(stage: Stage) -> int:
    return call(428, AT_FDCWD, path(stage.outside), 0)


def change_root(stage: Stage) -> int:
    return 1 + call(161, path(stage.inside))


def foreign_numbers_x32(stage: Stage) -> int:
    try:
        return call(0x40000000 + 39)
    except OSError as error:
        if error.errno == 38:
            raise NotHere("the kernel has no x32") from None
        raise


def foreign_architecture(stage: Stage) -> int:
    """getpid of 32-bit x86: mov eax, 20; int 0x80; ret."""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("b814000000cd80c3"))
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    result = function()
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


def system_v_memory(stage: Stage) -> int:
    identifier = call(29, 0x5AFE, 4096, 0o1600)
    call(31, identifier, 0, 0)
    return 1 + identifier


def message_queue(stage: Stage) -> int:
    descriptor = call(240, path("safe-remote-code-probe"), os.O_CREAT | os.O_RDWR, 0o600, None)
    call(241, path("safe-remote-code-probe"))
    return descriptor


def change_user(stage: Stage) -> int:
    if os.geteuid():
        raise NotHere("only root may become another user")
    return 1 + call(117, 65534, 65534, 65534)


def change_personality(stage: Stage) -> int:
    return 1 + call(135, 0x0040000)  # ADDR_NO_RANDOMIZE


def type_into_terminal(stage: Stage) -> int:
    leader, terminal = pty.openpty() if not os.environ.get("CONFINED") else (0, 0)
    try:
        return 1 + call(16, terminal, 0x5412, path("x"))
    except OSError as error:
        if not os.environ.get("CONFINED"):
            raise NotHere(f"the kernel does not let this user type into a terminal: {error}") from None
        raise


def kernel_log(stage: Stage) -> int:
    return 1 + call(103, 10, None, 0)


PROBES: dict[str, Callable[[Stage], object]] = {
    name: probe
    for name, probe in list(globals().items())
    if callable(probe) and getattr(probe, "__annotations__", {}).get("stage") == "Stage" and not name.startswith("_")
}
