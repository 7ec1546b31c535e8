"""The demo holds, says what it shows, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 300


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.torch
def test_the_demo_holds_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before = files_of(ROOT / "demo" / "hostile_repository")
    done = subprocess.run(
        [sys.executable, "-m", "demo"], cwd=tmp_path, text=True, capture_output=True, timeout=SECONDS,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for said in ("canary-at-import, canary-at-forward", "[not-pinned]", "os.system is not granted", "[digest-mismatch]"):
        assert said in done.stdout
    assert "FAILED" not in done.stdout
    assert not list(tmp_path.iterdir())
    assert files_of(ROOT / "demo" / "hostile_repository") == before


@pytest.mark.torch
def test_the_demo_fails_when_a_wall_is_gone(tmp_path: Path) -> None:
    """It refuses to call an act a success when the hostile repository was loaded after all."""
    from demo.stage import Stage, StepFailedError

    stage = Stage(folder=tmp_path)
    stage.build()
    (tmp_path / "hostile_repository" / "modeling_friendly.py").write_text(
        (tmp_path / "hostile_repository" / "modeling_friendly.py").read_text().replace("os.system", "str")
    )
    stage.command("pin", "hostile_repository", "--lockfile", "remote-code.lock")
    with pytest.raises(StepFailedError):
        stage.act("guarded_hostile")
