"""The worker process: started with nothing but a socket, ended with everything that is below it.

Rules: the child gets an environment made here and none of ours, no descriptor but its socket, no terminal,
a session and process group of its own, and one private folder. It dies with us: by the kernel
(`PR_SET_PDEATHSIG`, which it sets first of all), by the end of the socket, and by `close`. The folder of a
parent that was killed is swept away by the next one that starts a worker.

`PR_SET_PDEATHSIG` means the *thread* that started the child (prctl(2)), so one thread of ours, which lives
as long as the process, starts them all.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, final

from ..errors import WorkerError
from ..removal import remove_tree
from .channel import Channel
from .frames import MAX_ARENA_BYTES

_PREFIX: Final = "safe-remote-code-worker-"
_LOCK: Final = "lock"
_REAP_SECONDS: Final = 10.0
#: Why a signal comes from the kernel, in words.
_SIGNALS: Final = {
    signal.SIGKILL: "killed, by the kernel for want of memory or by somebody",
    signal.SIGSYS: "killed by the kernel for a system call that a worker may not make",
    signal.SIGSEGV: "crashed in native code",
    signal.SIGBUS: "crashed in native code",
    signal.SIGABRT: "aborted in native code",
    signal.SIGXCPU: "out of processor time",
}


@final
class Scratch:
    """A private folder, held by a lock for as long as this process lives."""

    def __init__(self) -> None:
        _sweep()
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
        self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        for name in ("home", "tmp", "cache", "modules", "out"):
            (self.path / name).mkdir()

    @property
    def writable(self) -> tuple[Path, ...]:
        """What the child may write to; the lock is not in it."""
        return tuple(self.path / name for name in ("home", "tmp", "cache", "modules", "out"))

    def remove(self) -> None:
        """Delete it, whatever the child left in it."""
        remove_tree(self.path, last=_LOCK)
        with contextlib.suppress(OSError):
            os.close(self._lock)
        self._lock = -1


def _sweep() -> None:
    """Remove folders of our user whose parents are gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(folder, last=_LOCK)
        except OSError:
            pass  # its parent lives
        finally:
            os.close(lock)


@final
class WorkerProcess:
    """A child that runs `python -m module` and speaks the protocol; `channel` is the line to it."""

    def __init__(
        self,
        module: str,
        environment: Mapping[str, str],
        reply_seconds: float,
        *,
        memory_bytes: int = 0,
        command: Sequence[str] | None = None,
    ) -> None:
        self._owner = os.getpid()
        self.scratch = Scratch()
        self._closing = threading.Lock()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                words = command or [sys.executable, "-P", "-s", "-m", module]
                arguments = [*words, str(theirs.fileno()), str(os.getpid())]
                self._process = _spawn(arguments, self._environment(environment), theirs.fileno(), self.scratch.path)
        except BaseException as error:
            ours.close()
            self.scratch.remove()
            if isinstance(error, OSError):
                raise WorkerError(f"no worker could be started: {error.strerror}", subject=sys.executable) from None
            raise
        self.channel = Channel(ours, reply_seconds, self.close, memory_bytes or MAX_ARENA_BYTES)

    @property
    def pid(self) -> int:
        """The process id; of nobody, once it was closed."""
        return self._process.pid

    def close(self, patience_seconds: float = 0.0) -> str:
        """Kill the process and its group, unless it ends by itself, reap it, delete its folder; how it ended."""
        if os.getpid() != self._owner:
            return "it belongs to another process"
        with self._closing:
            if self._process.returncode is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(patience_seconds)
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    # It may have ended by itself; until it is reaped, its id is nobody else's.
                    if self._process.poll() is None:
                        os.killpg(self._process.pid, signal.SIGKILL)
                try:
                    self._process.wait(_REAP_SECONDS)
                except subprocess.TimeoutExpired:
                    return "it cannot be killed (uninterruptible in the kernel)"
            self.scratch.remove()
            return _ending(self._process.returncode)

    def _environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        folder = self.scratch.path
        return {
            "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if os.path.isabs(entry)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONNOUSERSITE": "1",
            "LANG": "C.UTF-8",
            "PATH": os.defpath,
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "HF_HOME": str(folder / "cache" / "hf"),
            "HF_MODULES_CACHE": str(folder / "modules"),
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "TRANSFORMERS_VERBOSITY": "error",
            "TOKENIZERS_PARALLELISM": "false",
            **extra,
        }


def _ending(code: int) -> str:
    if code >= 0:
        return f"it ended by itself, with exit code {code}"
    try:
        name = signal.Signals(-code)
    except ValueError:
        return f"it was ended by signal {-code}"
    return f"it was {_SIGNALS[name]} ({name.name})" if name in _SIGNALS else f"it was ended by {name.name}"


@final
class _Spawner:
    """The one thread that starts children; a forked process has to make its own."""

    lock = threading.Lock()
    pid = 0
    thread: ThreadPoolExecutor | None = None


def _spawn(command: list[str], environment: dict[str, str], descriptor: int, folder: Path) -> subprocess.Popen[bytes]:
    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, env=environment, cwd=folder, pass_fds=(descriptor,), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    with _Spawner.lock:
        if _Spawner.thread is None or _Spawner.pid != os.getpid():
            _Spawner.thread, _Spawner.pid = ThreadPoolExecutor(1, "safe-remote-code-spawner"), os.getpid()
        thread = _Spawner.thread
    return thread.submit(start).result()
