"""The monitor: one PEP 578 audit hook that asks whether remote code is behind an event.

It catches the confused deputy: remote code that talks a granted library function into doing what it
may not do itself. For an event of `_RULES`, the stack is walked from the event outwards: a trusted
deputy met first (the import system reading a granted package's own files, the compiler behind
`torch.compile`) settles it, remote code met first lets the policy decide, and anything else costs
one set look-up.

It does not see: native code that raises no audit event, or reads of memory. An audit hook cannot
be removed; whether it enforces is a property of each package's context, which remote code cannot reach.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
import tempfile
import threading
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, final

from .events import Event, is_logged, tell
from .guard.mediated import calls
from .guard.ownership import context_of_globals, context_of_thread, register_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from .guard.context import PackageContext

    Rule = Callable[[PackageContext, tuple[object, ...]], str | None]

#: Modules whose own file and process events are theirs, whoever made them necessary.
#: Four are ours, at work for a load that remote code asks for: they read the policy and the lock file that the user
#: chose and the signatures beside it, remember approved versions, and lay out verified text under its digest.
_DEPUTIES: Final = (
    "importlib.", "torch._inductor.", "triton.", "safe_remote_code.documents", "safe_remote_code.execute.source_store",
    "safe_remote_code.signing.store", "safe_remote_code.verify.memory",
)  # fmt: skip
#: These call what remote code gives them (`torch._dynamo.disable(f)(path)`, `torch.vmap(f)`), so they are
#: trusted with code objects, and with files of the compiler's cache and Python sources alone.
_CALLERS: Final = ("torch._dynamo.", "torch._functorch.")
_SOURCE_READERS: Final = ("linecache", "tokenize")
#: What the compiler may start on behalf of remote code, found on the search path (`options={"cpp.cxx": ...}`).
_COMPILERS: Final = re.compile(
    r"([\w-]+-)?(g\+\+|gcc|cc|c\+\+|clang|clang\+\+|ld|lld|as|nvcc|ptxas|cuobjdump|nvdisasm|ldconfig|hipcc|openssl|nvidia-smi)(-?[\d.]+)?"
)
_PROCESS: Final = (
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.kill",
    "os.killpg",
    "os.startfile", "pty.spawn", "signal.pthread_kill",
)  # fmt: skip
_NETWORK: Final = (
    "socket.__new__", "socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
    "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo", "socket.getservbyname", "urllib.Request",
    "http.client.connect", "http.client.send", "ftplib.connect", "smtplib.connect", "imaplib.open", "poplib.connect",
    "telnetlib.Telnet.open", "nntplib.connect", "webbrowser.open",
)  # fmt: skip
_NATIVE: Final = (
    "ctypes.dlopen", "ctypes.dlsym", "ctypes.dlsym/handle", "ctypes.call_function", "ctypes.cdata",
    "ctypes.cdata/buffer",
    "ctypes.string_at", "ctypes.wstring_at", "ctypes.create_string_buffer", "ctypes.PyObj_FromPtr", "ctypes.addressof",
)  # fmt: skip
_CODE: Final = (
    "code.__new__", "function.__new__", "marshal.load", "marshal.loads", "sys.settrace", "sys.setprofile",
    "sys.addaudithook",
    "cpython.run_command", "cpython.run_file", "cpython.run_module", "cpython.run_string",
    "builtins.breakpoint", "pdb.Pdb",
    "gc.get_objects", "gc.get_referrers", "gc.get_referents", "sys._current_frames", "sys._current_exceptions",
    "sys.set_asyncgen_hooks_finalizer", "sys.set_asyncgen_hooks_firstiter", "sys.unraisablehook",
)  # fmt: skip
_ENVIRONMENT: Final = (
    "os.putenv",
    "os.unsetenv",
    "os.chdir",
    "os.fchdir",
    "os.chroot",
    "signal.signal",
    "resource.setrlimit",
)
#: Events whose first (and for some second) arguments are paths that would change.
_WRITES: Final = (
    "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.chown",
    "os.utime", "os.setxattr", "os.removexattr", "os.lchmod", "os.chflags", "os.mkfifo", "os.mknod", "sqlite3.connect",
    "shutil.rmtree", "shutil.make_archive", "shutil.unpack_archive",
    "tempfile.mkstemp", "tempfile.mkdtemp", "mmap.__new__", "glob.glob/write",
)  # fmt: skip
_LISTINGS: Final = ("os.listdir", "os.scandir", "os.walk", "os.fwalk", "glob.glob")
_MOVES: Final = ("os.rename", "os.link", "os.symlink", "shutil.move")
_COPIES: Final = ("shutil.copyfile", "shutil.copytree", "shutil.copymode", "shutil.copystat")
_SAFE_PICKLE_MODULES: Final = ("collections", "torch", "torch._utils", "torch._tensor", "torch.storage",
                               "torch.nn.parameter", "numpy", "numpy.dtype",
                               "numpy._core.multiarray", "numpy.core.multiarray")  # fmt: skip
_SAFE_PICKLE_NAMES: Final = frozenset(
    ["OrderedDict", "Tensor", "Size", "device", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_tensor",
     "Parameter", "_reconstruct", "ndarray", "dtype", "scalar", "UntypedStorage", "TypedStorage"]
)  # fmt: skip


def _python_roots() -> tuple[str, ...]:
    """Folders of the interpreter and its installed packages; their files are no secret."""
    paths = {*sysconfig.get_paths().values(), *(path for path in sys.path if path), sys.prefix, sys.base_prefix}
    inside = {
        path
        for path in paths
        if "site-packages" in path or "dist-packages" in path or path.startswith((sys.prefix, sys.base_prefix))
    }
    return tuple(os.path.realpath(path) for path in inside if path not in ("/", "/usr"))


_PYTHON_ROOTS: Final = _python_roots()
#: What libraries ask of the machine on the way; the process id in `/proc` does not matter.
_HARMLESS_FILE: Final = re.compile(r"/dev/(null|urandom)|/proc/(cpuinfo|meminfo|\d+/(mounts|status|cgroup|stat))")


def _path(value: object) -> str | None:
    if isinstance(value, bytes):
        return os.path.realpath(os.fsdecode(value))
    if isinstance(value, str):
        return os.path.realpath(str.__str__(value))
    if isinstance(value, PurePath):
        return os.path.realpath(PurePath.__str__(value))
    return None


def _open(context: PackageContext, arguments: tuple[object, ...]) -> str | None:
    path = _path(arguments[0])
    if path is None:
        return None if isinstance(arguments[0], int) else "file-read"  # a descriptor is open already
    flags = arguments[2] if len(arguments) > 2 and isinstance(arguments[2], int) else 0
    if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND):
        return None if context.may_write(path) or path == "/dev/null" else "file-write"
    if _HARMLESS_FILE.fullmatch(path) or path.startswith(tuple(f"{root}/" for root in _PYTHON_ROOTS)):
        return None
    return None if context.may_read(path) else "file-read"


def _write(context: PackageContext, arguments: tuple[object, ...]) -> str | None:
    path = _path(arguments[0]) if arguments else None
    return None if path is not None and context.may_write(path) else "file-write"


def _move(context: PackageContext, arguments: tuple[object, ...]) -> str | None:
    return _write(context, arguments[:1]) or _write(context, arguments[1:2])


def _copy(context: PackageContext, arguments: tuple[object, ...]) -> str | None:
    return _open(context, arguments[:1]) or _write(context, arguments[1:2])


def _listing(context: PackageContext, arguments: tuple[object, ...]) -> str | None:
    path = _path(arguments[0]) if arguments and arguments[0] is not None else os.getcwd()
    if path is None or path.startswith(_PYTHON_ROOTS):
        return None
    return None if context.may_read(path) else "file-read"


def _unpickle(context: PackageContext, arguments: tuple[object, ...]) -> str | None:
    module, name = str(arguments[0]), str(arguments[1])
    safe = module in _SAFE_PICKLE_MODULES and (name in _SAFE_PICKLE_NAMES or name.endswith("Storage"))
    return None if safe else "deserialise"


def _always(capability: str) -> Rule:
    return lambda context, arguments: capability


_RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(_PROCESS, _always("process")),
    **dict.fromkeys(_NETWORK, _always("network")),
    **dict.fromkeys(_NATIVE, _always("native-code")),
    **dict.fromkeys(_CODE, _always("introspection")),
    **dict.fromkeys(_ENVIRONMENT, _always("environment")),
    **dict.fromkeys(_WRITES, _write),
    **dict.fromkeys(_MOVES, _move),
    **dict.fromkeys(_COPIES, _copy),
    **dict.fromkeys(_LISTINGS, _listing),
    "open": _open,
    "pickle.find_class": _unpickle,
}


@final
class _Hook:
    """The installed hook. `installed` says whether this process has it."""

    installed = False
    #: Is told of every event that a rule refuses: event, arguments, capability. For detonation only.
    recorder: Callable[[str, tuple[object, ...], str], None] | None = None


def record(recorder: Callable[[str, tuple[object, ...], str], None]) -> None:
    """Tell `recorder` what would be refused, before it is; packages whose monitor wall is off then go on."""
    _Hook.recorder = recorder
    install()


def install() -> None:
    """Install the hook, once for the life of the process."""
    if not _Hook.installed:
        _Hook.installed = True
        sys.addaudithook(_audit)
        _watch_threads()


def _watch_threads() -> None:
    """Note who starts a thread: until Python 3.12, `threading` raises no event for it."""
    start: Callable[..., object] | None = getattr(threading, "_start_new_thread", None)
    if start is None:
        return

    def noted(function: object, *arguments: object) -> object:
        context = _responsible(sys._getframe(1), "_thread.start_new_thread", (function,))
        if context is not None:
            _thread(context, (function,))
        return start(function, *arguments)

    threading._start_new_thread = noted  # type: ignore[attr-defined]  # no public name


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if event not in _RULES:
        return
    context = _responsible(sys._getframe(1), event, arguments)
    if context is None or not (context.monitored or _Hook.recorder):
        return
    capability = _RULES[event](context, arguments)
    if is_logged():
        _log(context, event, arguments, capability)
    if capability is not None and capability not in context.granted.capabilities:
        if _Hook.recorder is not None:
            _Hook.recorder(event, arguments, capability)
        if not context.monitored:
            return
        shown = ", ".join(repr(item)[:120] for item in arguments[:2])
        raise context.violation(f"{event}({shown}) with remote code on the stack", capability, event)


def _log(context: PackageContext, event: str, arguments: tuple[object, ...], capability: str | None) -> None:
    """Tell the audit log what is let through; a denial is told where it is raised."""
    shown = ", ".join(repr(item)[:200] for item in arguments[:2])
    if capability is not None and capability in context.granted.capabilities:
        said = Event(event="granted", name=event, capability=capability, message=f"{event}({shown})")
    elif capability is None and event == "open" and not isinstance(arguments[0], int):
        said = Event(event="opened", name=_path(arguments[0]) or shown, message=f"mode {arguments[1]!r}")
    else:
        return
    tell(replace(said, source=context.source, digest=context.digest))


def _thread(context: PackageContext, arguments: tuple[object, ...]) -> str | None:
    thread = getattr(arguments[0], "__self__", None)  # threading starts a bound method of the thread
    if isinstance(thread, threading.Thread):
        register_thread(thread, context)
        return None
    return "introspection"


_RULES.update(dict.fromkeys(["_thread.start_new_thread", "_thread.start_joinable_thread"], _thread))


def _responsible(frame: FrameType | None, event: str, arguments: tuple[object, ...]) -> PackageContext | None:
    """The package whose code is nearest to the event, unless a trusted deputy is nearer."""
    mediated = False
    while frame is not None:
        namespace = frame.f_globals
        context = context_of_globals(id(namespace))
        if context is not None:
            return context
        if namespace is _MEDIATED_GLOBALS:
            mediated = True  # the wrapper of a library method: its package is known by its closure
            context = frame.f_locals.get("context") if frame.f_code.co_name == "call" else None
            if context is not None:
                return context  # type: ignore[no-any-return]  # a PackageContext of ours
        elif not mediated and _is_deputy(namespace.get("__name__"), event, arguments):
            return None
        frame = frame.f_back
    return context_of_thread()


def _is_deputy(name: object, event: str, arguments: tuple[object, ...]) -> bool:
    """Whether a module of this name answers for the event itself."""
    if not isinstance(name, str):
        return False
    if name.startswith(_DEPUTIES):
        return event not in _PROCESS or name.startswith("importlib.") or _is_compiler(arguments)
    if name.startswith(_CALLERS):
        return event in _CODE or _is_of_compiler(arguments)
    return name in _SOURCE_READERS and event == "open" and str(_path(arguments[0])).endswith(".py")


def _is_compiler(arguments: tuple[object, ...]) -> bool:
    command = arguments[1] if len(arguments) > 1 else None
    program = str(command[0]) if isinstance(command, list | tuple) and command else str(arguments[0])
    if program == sys.executable:
        return True  # workers of the compiler
    found = shutil.which(os.path.basename(program))
    return bool(
        _COMPILERS.fullmatch(os.path.basename(program))
        and found
        and (os.sep not in program or os.path.realpath(program) == os.path.realpath(found))
    )


def _is_of_compiler(arguments: tuple[object, ...]) -> bool:
    path = _path(arguments[0]) if arguments else None
    cache = os.environ.get("TORCHINDUCTOR_CACHE_DIR") or os.path.join(tempfile.gettempdir(), "torchinductor_")
    return path is not None and (path.startswith((os.path.realpath(cache), *_PYTHON_ROOTS)) or path.endswith(".py"))


_MEDIATED_GLOBALS: Final = vars(calls)
