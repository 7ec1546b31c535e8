"""What the worker's tests share: a policy file that says worker, and the fixtures loaded on both sides."""

from __future__ import annotations

from pathlib import Path

import pytest

POLICY = 'format = 1\nname = "worker"\nextends = ["default"]\nexecution = "worker"\n'
WALLS_OFF = '[walls]\nunsafe_disable = ["identity", "analysis", "guard", "monitor"]\n'


@pytest.fixture(scope="session")
def worker_policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default policy in a worker, with a deadline that ends a hanging test."""
    path = tmp_path_factory.mktemp("policy") / "worker.toml"
    path.write_text(POLICY + "[worker]\nreply_seconds = 120\n")
    return path
