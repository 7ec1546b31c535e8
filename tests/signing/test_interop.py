"""The interop script, where the model_signing tool is installed (`make interop` installs it)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from signing import interop

ROOT = Path(__file__).resolve().parents[2]
TOOL = os.environ.get("MODEL_SIGNING", str(ROOT / ".venv-oms" / "bin" / "model_signing"))


@pytest.mark.skipif(not os.access(TOOL, os.X_OK), reason="the model_signing tool is not installed; `make interop` does")
def test_bundles_go_both_ways_and_tampering_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert interop.main(TOOL) == 0, capsys.readouterr().out
    assert "0 rows" in capsys.readouterr().out
