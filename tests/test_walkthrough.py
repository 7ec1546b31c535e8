"""docs/AUDITS.md is true: each block is written or run as it stands, and prints what the page says.

A block whose first line is `# PATH` becomes that file. In a console block a line that begins with `$ ` is run by
bash; the lines below it must appear in what it prints, in that order, `...` standing for anything. A command exits
with 0 unless `# exits with N` follows it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass
class Command:
    """One line of a console block, and what follows it."""

    line: str
    code: int
    expected: list[str]


def _commands(block: str) -> Iterator[Command]:
    command: Command | None = None
    for line in block.splitlines():
        if line.startswith("$ "):
            if command is not None:
                yield command
            code = re.search(r"# exits with (\d)$", line)
            command = Command(line=line[2:], code=int(code[1]) if code else 0, expected=[])
        elif command is not None:
            command.expected.append(line)
    if command is not None:
        yield command


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.strip().split("..."))


def _check(command: Command, code: int, output: str) -> None:
    assert code == command.code, f"{command.line}\n{output}"
    lines = iter(output.splitlines())
    for expected in command.expected:
        assert any(re.search(_pattern(expected), line) for line in lines), f"{command.line}: no {expected!r} in\n{output}"


@pytest.mark.torch
def test_the_page_is_true(tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, arguments in (("safe-remote-code", "-m safe_remote_code"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n')
        (programs / name).chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    env = {
        **os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
        "XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_STATE_HOME": str(tmp_path / "state"),
    }  # fmt: skip
    ran, variables = [], ""
    page = (ROOT / "docs" / "AUDITS.md").read_text(encoding="utf-8")
    for kind, block in _BLOCK.findall(page.partition("## The walkthrough")[2]):
        first, _, rest = block.partition("\n")
        if kind == "console":
            for command in _commands(block):
                assignment = re.match(r"[A-Z]+=", command.line)
                line = f"{command.line}\ndeclare -p {assignment[0][:-1]}" if assignment else command.line
                done = subprocess.run(["bash", "-c", f"{variables}{line}"], cwd=work, env=env, capture_output=True,
                                      text=True, timeout=120, check=False)  # fmt: skip
                _check(command, done.returncode, done.stdout + done.stderr)
                variables += done.stdout if assignment else ""
                ran.append(command)
        elif first.startswith("# "):
            (work / first[2:]).parent.mkdir(exist_ok=True)
            (work / first[2:]).write_text(rest)
    assert sum(command.line.startswith("safe-remote-code check") for command in ran) == 5
    assert [command.code for command in ran if command.line.startswith("python load.py")] == [0, 0, 1, 0]
