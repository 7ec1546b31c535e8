"""Starting the program: a child that confines itself while it has one thread, and then becomes the program.

Guarantee: the program runs only if `apply` returned in that very process; what goes wrong before is an error here.
When the program has ended, what it left running is ended too, and the temporary folder is gone. If this process dies,
the program is killed.

It does not: pass on the descriptors of this process (but 0, 1 and 2), or its environment.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import FrameType
from typing import Final, NoReturn, final

from ..errors import SandboxUnavailableError
from ..removal import remove_tree
from ..sandbox import PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, Confinement, apply, cleaned_environment, prctl
from .program import Program

_FORWARDED: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)
#: The terminal sends these to the program itself.
_FROM_TERMINAL: Final = (signal.SIGINT, signal.SIGQUIT)
_MAX_REPORT_BYTES: Final = 1 << 16
_SIGNALLED: Final = 128


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A program that ended: its exit code as a shell tells it, and what held (JSON of `SandboxStatus`)."""

    code: int
    status: dict[str, object]


def start(
    program: Program,
    confine: Callable[[str], Confinement],
    environment: Mapping[str, str],
    added: Callable[[str], Mapping[str, str]],
    started: Callable[[dict[str, object]], None] = lambda status: None,
) -> Run:
    """Run `program` to its end. `confine` and `added` are given the temporary folder; `started` the status.

    Raises:
        SandboxUnavailableError: the confinement could not be had, and nothing was started.
    """
    folder = os.path.realpath(tempfile.mkdtemp(prefix="safe-remote-code-"))
    try:
        confinement = confine(folder)
        variables = cleaned_environment(confinement.environment, environment) | dict(added(folder))
        return _run(program, confinement, variables, started)
    finally:
        remove_tree(folder)


def _run(
    program: Program, confinement: Confinement, variables: Mapping[str, str],
    started: Callable[[dict[str, object]], None],
) -> Run:  # fmt: skip
    prctl(PR_SET_CHILD_SUBREAPER, 1)  # what the program leaves behind becomes ours, to be ended
    reading, writing = os.pipe()  # close-on-exec: its end says that the program has begun
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _become(program, confinement, variables, writing, parent)
    os.close(writing)
    with _Signals(child):
        with os.fdopen(reading, "rb") as stream:
            report = json.loads(stream.read(_MAX_REPORT_BYTES) or b'{"error": "the child ended without a word"}')
        if "error" not in report:
            started(report)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    _end_the_rest()
    if "error" in report:
        raise SandboxUnavailableError(report["error"], subject=program.arguments[0], remedy=report.get("remedy", ""))
    return Run(code=code if code >= 0 else _SIGNALLED - code, status=report)


def _become(
    program: Program, confinement: Confinement, variables: Mapping[str, str], report: int, parent: int
) -> NoReturn:
    """In the child: confine, say so, become the program."""
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these, and exec would keep that
            signal.signal(number, signal.SIG_DFL)
        status = apply(_keeping(confinement, report))
        os.write(report, status.json().encode())
        os.execve(program.arguments[0], list(program.arguments), dict(variables))
    except SandboxUnavailableError as error:
        os.write(report, json.dumps({"error": error.message, "remedy": error.remedy}).encode())
    except BaseException as error:
        os.write(report, json.dumps({"error": f"could not be started: {error}"}).encode())
    finally:
        os._exit(1)


def _keeping(confinement: Confinement, descriptor: int) -> Confinement:
    return replace(confinement, keep_descriptors=(descriptor,))


def _end_the_rest() -> None:
    """Kill and reap every process that the program left; each may leave new ones to us."""
    while True:
        try:
            waited, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if waited == 0:
            for child in _children():
                os.kill(child, signal.SIGKILL)
            if not _children():
                return  # this kernel does not list them
            os.waitpid(-1, 0)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="utf-8") as stream:
            return [int(number) for number in stream.read().split()]
    except OSError:
        return []


@final
class _Signals:
    """While the program runs, signals to this process are signals to the program."""

    def __init__(self, child: int) -> None:
        self._child = child
        self._before: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> None:
        for number in _FORWARDED:
            self._before[number] = signal.signal(number, self._forward)
        for number in _FROM_TERMINAL:
            self._before[number] = signal.signal(number, signal.SIG_IGN)

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        try:
            os.kill(self._child, number)
        except ProcessLookupError:
            pass

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
