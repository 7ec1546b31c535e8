"""Running the command line, in this process or in one of its own, and repositories to run it on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from click.testing import CliRunner, Result

from safe_remote_code.cli import program

ROOT = Path(__file__).resolve().parents[2]
CONFIG = {"auto_map": {"AutoModel": "modeling_plain.PlainModel"}}
PLAIN = '''"""A model in miniature."""

import math


class PlainModel:
    def forward(self, x):
        return math.sqrt(x)
'''


def run(*arguments: object) -> Result:
    """The command, in this process. An exception that is not an exit is a bug and is raised here."""
    result = CliRunner().invoke(program, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def spawn(
    *arguments: object, cwd: Path, env: Mapping[str, str] | None = None, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    """`python -m safe_remote_code`, in a process of its own."""
    return subprocess.run(
        [python, "-m", "safe_remote_code", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def repository(folder: Path, files: Mapping[str, str | bytes] | None = None, config: object = CONFIG) -> Path:
    """A repository at `folder`: one plain model, or `files`; `config` as its config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in (files if files is not None else {"modeling_plain.py": PLAIN}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder
