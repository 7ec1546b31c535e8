"""The command of the user as the Python that it starts, and what that Python says of itself.

Rules: only Python is started, because only there can the guard be switched on: a Python, or a script whose first line
names one (torchrun, accelerate). The interpreter is asked, with the flags of the command, for its folders and whether
the guard came up in it. It is the user's own, and is asked before anything remote runs; nothing of the current folder
is imported by it (`-P`).
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from ..errors import FetchError, RefusedError
from .environment import GUARD_LOCKFILE, GUARD_POLICY

_MAX_FIRST_LINE_BYTES: Final = 256  # BINPRM_BUF_SIZE, include/uapi/linux/binfmts.h
_MAX_ANSWER_BYTES: Final = 1 << 20
_TAKES_A_VALUE: Final = frozenset("WX")
#: By its path: `python` may be a shell script (pyenv).
_START_PYTHON: Final = f"start Python itself: safe-remote-code run -- {shlex.quote(sys.executable)} SCRIPT"
_QUESTION: Final = """
import json, os, sys, sysconfig
print(json.dumps({
    "executables": [sys.executable, getattr(sys, "_base_executable", sys.executable)],
    "prefixes": [sys.prefix, sys.base_prefix],
    "libraries": [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")],
    "path": sys.path,
    "guarded": "safe_remote_code.startup" in sys.modules,
}))
"""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A Python and what it runs. `folder` is what it will put first on its module path; None if nothing."""

    arguments: tuple[str, ...]
    script: str | None
    folder: str | None
    executables: tuple[str, ...]
    prefixes: tuple[str, ...]
    libraries: tuple[str, ...]


def find_program(command: Sequence[str], environment: Mapping[str, str]) -> Program:
    """What `command` starts, asked of its interpreter.

    Raises:
        FetchError: there is no such program. RefusedError: it is not Python, or the guard does not come up in it.
    """
    arguments = _interpreted(list(command), environment.get("PATH", os.defpath))
    flags, rest = _split(arguments[1:])
    answer = _ask(arguments[0], flags, environment)
    if not answer.get("guarded"):
        raise RefusedError(
            "the guard does not come up in this Python",
            subject=shlex.join([arguments[0], *flags]),
            remedy="install safe-remote-code for this Python, and leave out -S",
        )
    path = [entry for entry in answer["path"] if os.path.isabs(entry)]
    script, folder = _script(rest, isolated=_has_flag(flags, "IP"))
    return Program(
        arguments=tuple(arguments), script=script, folder=folder, executables=tuple(answer["executables"]),
        prefixes=tuple(answer["prefixes"]), libraries=tuple(filter(None, [*answer["libraries"], *path])),
    )  # fmt: skip


def _interpreted(command: list[str], search: str, script: str = "") -> list[str]:
    """`command` with a Python in front; `script` is what named it as its interpreter."""
    found = shutil.which(command[0], path=search)
    if found is None:
        raise FetchError("no such program", subject=command[0], remedy="give a Python, or a script that names one")
    found = os.path.abspath(found)
    with open(found, "rb") as stream:
        first = stream.readline(_MAX_FIRST_LINE_BYTES)
    if not first.startswith(b"#!"):
        if "python" not in os.path.basename(os.path.realpath(found)):
            what = f"a script that {found} runs, and no Python" if script else "not a Python"
            raise RefusedError(f"{what}, so the guard cannot be switched on in it", subject=script or found,
                               remedy=_START_PYTHON)  # fmt: skip
        return [found, *command[1:]]
    words = shlex.split(os.fsdecode(first[2:].strip()))
    if words and os.path.basename(words[0]) == "env" and len(words) == 2:
        words = words[1:]
    return _interpreted([*words, found, *command[1:]], search, found)


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The interpreter's flags, and the rest from `-c`, `-m` or the script on."""
    place = 0
    while place < len(arguments) and arguments[place].startswith("-") and arguments[place] != "-":
        flag = arguments[place]
        if flag.startswith("--"):
            place += 1 + (flag == "--check-hash-based-pycs")
            continue
        stops = [index for index, letter in enumerate(flag) if letter in "cm"]
        values = [index for index, letter in enumerate(flag) if letter in _TAKES_A_VALUE]
        if stops and (not values or stops[0] < values[0]):
            break
        place += 1 + bool(values and values[0] == len(flag) - 1)
    return arguments[:place], arguments[place:]


def _has_flag(flags: list[str], letters: str) -> bool:
    return any(not flag.startswith("--") and set(letters) & set(flag[1:]) for flag in flags if flag[1:2] not in "WX")


def _script(rest: list[str], isolated: bool) -> tuple[str | None, str | None]:
    if rest and not rest[0].startswith("-"):
        script = os.path.abspath(rest[0])
        if not os.path.exists(script):
            raise FetchError("no such script", subject=rest[0], remedy="check the path")
        home = script if os.path.isdir(script) else os.path.dirname(os.path.realpath(script))
        return script, None if isolated else home
    return None, None if isolated else os.getcwd()


def _ask(python: str, flags: list[str], environment: Mapping[str, str]) -> dict[str, list[str]]:
    reading, writing = os.pipe()
    guard = {GUARD_POLICY: "default", GUARD_LOCKFILE: "/nonexistent"}
    try:
        child = os.posix_spawn(
            python, [python, "-P", *flags, "-c", _QUESTION], {**environment, **guard},
            file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_CLOSE, reading)],
        )  # fmt: skip
        os.close(writing)
        with os.fdopen(reading, "rb") as stream:
            text = stream.read(_MAX_ANSWER_BYTES)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except OSError as error:
        raise FetchError(f"cannot be started: {error.strerror}", subject=python) from error
    try:
        answer: dict[str, list[str]] = json.loads(text.splitlines()[-1])
    except (IndexError, ValueError):
        raise RefusedError(f"does not answer like a Python (exit code {code})", subject=python,
                           remedy=_START_PYTHON) from None  # fmt: skip
    return answer
