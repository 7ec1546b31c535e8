"""A few real repositories, on every run of `make test`; `make realworld` has them all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from realworld import compare

pytest.importorskip("torch")
pytest.importorskip("transformers")

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "realworld"


@pytest.mark.torch
@pytest.mark.parametrize("name", ["internlm2", "tinytimemixer", "nicheformer"])
def test_a_real_repository_is_admitted_and_identical(name: str, tmp_path: Path) -> None:
    """It loads under the default policy, and every step that works natively gives the same bits."""
    if not (BUILD / "repos" / name).is_dir():
        pytest.fail(f"{name} is not assembled: run `make setup` while online")
    report = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, str(HERE / "run.py"), name, "--json", str(report)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads(report.read_text())
    assert (row["admitted"], row["loaded"], row["identical"]) == (True, True, True), row["why_not"]


def test_a_step_that_natively_differs_from_itself_must_succeed_but_is_not_compared() -> None:
    native = {"config": {"digest": "c"}, "model": {"digest": "m"}, "reload": {"digest": "1"}}
    other = {**native, "reload": {"digest": "2"}}
    failed = {**native, "reload": {"error": "refused"}}
    assert compare.differing(native, other) == ["reload"]
    assert not compare.row("r", True, native, other).identical
    assert compare.row("r", True, native, other, unsettled=["reload"]).identical
    assert not compare.row("r", True, native, failed, unsettled=["reload"]).identical
