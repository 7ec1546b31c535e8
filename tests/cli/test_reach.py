"""The edge of the architecture that matters most here: what looks at unverified code cannot run it.

`cli/audit.py` and `cli/pin.py` cannot reach `guard` or `execute`, directly or through others, by import
or while they work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.commands import ROOT, repository

_FORBIDDEN = ("guard", "execute", "monitor", "pipeline", "integrations")
_PROBE = """
import importlib, json, sys
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
if sys.argv[2:]:
    from safe_remote_code.cli import program
    try:
        program.main(sys.argv[2:])
    except SystemExit as left:
        assert left.code in (0, 1), left.code
sys.stdout.write("\\n" + json.dumps(sorted(sys.modules)))
"""


def _loaded(modules: list[str], *arguments: str, cwd: Path | None = None) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, json.dumps(modules), *arguments],
        cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return list(json.loads(done.stdout.splitlines()[-1]))


def _reached(loaded: list[str]) -> list[str]:
    ours = [name for name in loaded if name.startswith("safe_remote_code.") and name.split(".")[1] in _FORBIDDEN]
    return ours + [name for name in loaded if name in ("torch", "transformers", "RestrictedPython")]


@pytest.mark.parametrize(
    "module", ["cli.audit", "cli.pin", "cli.verify", "cli.policy", "cli.check", "cli.review", "cli.audits", "cli", "report", "config_audit"]
)
def test_importing_it_reaches_nothing_that_runs_code(module: str) -> None:
    assert _reached(_loaded([f"safe_remote_code.{module}"])) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("pin", "plain"), ("pin", "plain", "--update"), ("audit", "plain"), ("audit", "plain", "--format", "sarif"),
        ("policy", "suggest", "plain"), ("policy", "show"), ("explain",), ("review", "plain", "--html", "page.html"),
    ],
)  # fmt: skip
def test_working_reaches_nothing_that_runs_code(arguments: tuple[str, ...], tmp_path: Path) -> None:
    repository(tmp_path / "plain")
    assert _reached(_loaded([], *arguments, cwd=tmp_path)) == []


def test_a_file_that_would_run_at_import_is_not_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    hostile = f"open({str(canary)!r}, 'w').close()\n\n\nclass PlainModel:\n    pass\n"
    repository(tmp_path / "plain", {"modeling_plain.py": hostile, "conftest.py": hostile, "sitecustomize.py": hostile})
    for command in ("audit", "pin", "verify"):
        _loaded([], command, "plain", cwd=tmp_path)
    assert not canary.exists()
