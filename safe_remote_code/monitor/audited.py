"""The audit events that the monitor asks about, by what they do, and what is said of the paths in them.

Source: the audit events table of the Python documentation, and PEP 578.
"""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import Final

PROCESS: Final = (
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.kill",
    "os.killpg",
    "os.startfile", "pty.spawn", "signal.pthread_kill",
)  # fmt: skip
NETWORK: Final = (
    "socket.__new__", "socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
    "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo", "socket.getservbyname", "urllib.Request",
    "http.client.connect", "http.client.send", "ftplib.connect", "smtplib.connect", "imaplib.open", "poplib.connect",
    "telnetlib.Telnet.open", "nntplib.connect", "webbrowser.open",
)  # fmt: skip
NATIVE: Final = (
    "ctypes.dlopen", "ctypes.dlsym", "ctypes.dlsym/handle", "ctypes.call_function", "ctypes.cdata",
    "ctypes.cdata/buffer",
    "ctypes.string_at", "ctypes.wstring_at", "ctypes.create_string_buffer", "ctypes.PyObj_FromPtr", "ctypes.addressof",
)  # fmt: skip
CODE: Final = (
    "code.__new__", "function.__new__", "marshal.load", "marshal.loads", "sys.settrace", "sys.setprofile",
    "sys.addaudithook",
    "cpython.run_command", "cpython.run_file", "cpython.run_module", "cpython.run_string",
    "builtins.breakpoint", "pdb.Pdb",
    "gc.get_objects", "gc.get_referrers", "gc.get_referents", "sys._current_frames", "sys._current_exceptions",
    "sys.set_asyncgen_hooks_finalizer", "sys.set_asyncgen_hooks_firstiter", "sys.unraisablehook",
)  # fmt: skip
ENVIRONMENT: Final = (
    "os.putenv",
    "os.unsetenv",
    "os.chdir",
    "os.fchdir",
    "os.chroot",
    "signal.signal",
    "resource.setrlimit",
)
#: Events whose first (and for some second) arguments are paths that would change.
WRITES: Final = (
    "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.chown",
    "os.utime", "os.setxattr", "os.removexattr", "os.lchmod", "os.chflags", "os.mkfifo", "os.mknod", "sqlite3.connect",
    "shutil.rmtree", "shutil.make_archive", "shutil.unpack_archive",
    "tempfile.mkstemp", "tempfile.mkdtemp", "mmap.__new__", "glob.glob/write",
)  # fmt: skip
LISTINGS: Final = ("os.listdir", "os.scandir", "os.walk", "os.fwalk", "glob.glob")
MOVES: Final = ("os.rename", "os.link", "os.symlink", "shutil.move")
COPIES: Final = ("shutil.copyfile", "shutil.copytree", "shutil.copymode", "shutil.copystat")
#: Where an event names an open directory that its path is relative to.
_DIRECTORIES: Final = {"os.remove": 1, "os.rmdir": 1, "os.mkdir": 2}
_CHANGING: Final = frozenset([*WRITES, *MOVES, *COPIES])


def path_of(value: object) -> str | None:
    """The real path that an argument of an event names; None if it names none."""
    if isinstance(value, bytes):
        return os.path.realpath(os.fsdecode(value))
    if isinstance(value, str):
        return os.path.realpath(str.__str__(value))
    if isinstance(value, PurePath):
        return os.path.realpath(PurePath.__str__(value))
    return None


def changed_path(event: str, arguments: tuple[object, ...]) -> str | None:
    """The first path of `event`, which may be relative to a directory that is open (`shutil.rmtree` works so)."""
    name = arguments[0] if arguments else None
    position = _DIRECTORIES.get(event)
    descriptor = arguments[position] if position is not None and len(arguments) > position else -1
    if isinstance(descriptor, int) and descriptor >= 0 and isinstance(name, str | bytes):
        return path_of(os.path.join(f"/proc/self/fd/{int(descriptor)}", os.fsdecode(name)))
    return path_of(name)


def opens_for_writing(arguments: tuple[object, ...]) -> bool:
    """Whether the arguments (path, mode, flags) of `open` would change the file or make it."""
    flags = arguments[2] if len(arguments) > 2 and isinstance(arguments[2], int) else 0
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND))


def changes(event: str, arguments: tuple[object, ...]) -> bool:
    """Whether `event` would change a file or folder."""
    return event in _CHANGING or (event == "open" and opens_for_writing(arguments))


def written(event: str, arguments: tuple[object, ...]) -> tuple[str | None, ...]:
    """The paths that `event` would change; empty if it changes none."""
    if event in MOVES:
        return path_of(arguments[0]), path_of(arguments[1])
    if event in COPIES:
        return (path_of(arguments[1]),)
    if changes(event, arguments):
        return (changed_path(event, arguments),)
    return ()
