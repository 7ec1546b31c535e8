"""A worker has no network: the parent brings what it needs into the cache, and the worker reads it there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hub.client import environment
from hub.server import hub
from hub.test_guarded import ROOT, pin, run
from hub.tiny import tiny_code, tiny_repository
from worker.conftest import POLICY

pytestmark = pytest.mark.torch

_SCRIPT = """
safe_remote_code.install(policy="worker.toml", lockfile="remote-code.lock")
result = []
for name in repositories.split():
    loaded = AutoModel.from_pretrained(name, trust_remote_code=True)
    result.append([marks(loaded), type(loaded).__name__, type(loaded.config).__name__, loaded.num_parameters() > 0])
"""


def test_code_and_weights_of_the_hub_are_brought_by_the_parent(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "worker.toml").write_text(POLICY)
    with hub() as server:
        server.commit("acme/tiny", tiny_repository("A"))
        server.commit("acme/code", tiny_code("C"))
        server.commit("acme/front", tiny_repository("-", code_repo="acme/code"))
        pin(server, home, "acme/tiny", "acme/code")
        online = run(server, home, _SCRIPT, repositories="acme/tiny acme/front")
        again = run(server, home, _SCRIPT, offline=True, repositories="acme/tiny acme/front")
        assert online == again
        assert [item[0] for item in online] == ["AA", "CC"]
        assert {(kind, counted) for _, kind, _, counted in online} == {("RemoteModel", True)}
        trial = _audited(server.url, home)
    assert trial["verdict"] == "clean", trial["findings"]


def _audited(url: str, home: Path) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "safe_remote_code", "audit", "--run", "--format", "json", "acme/tiny"],
        env={**environment(url, home), "PYTHONPATH": str(ROOT)}, cwd=home, text=True,
        capture_output=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["sources"][0]
