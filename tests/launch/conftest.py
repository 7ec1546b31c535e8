"""The installed wheel, once for all tests of this folder, and a lock with the model fixtures."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from launch.installed import PROGRAMS, Installed, install
from safe_remote_code.sandbox import landlock


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if sys.platform != "linux" or landlock.abi() < landlock.SCOPE_ABI:
        skip = pytest.mark.skip(reason="the launcher needs Linux with Landlock ABI 6 for processes below it")
        for item in items:
            if "launch" in Path(str(item.fspath)).parts:
                item.add_marker(skip)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("installed"))


@pytest.fixture
def project(tmp_path: Path, models_lock: Path, fixtures: Path) -> Path:
    """A project folder: programs, the lock, a model beside it, and a file with secrets; outside, another decoy."""
    folder = tmp_path / "project"
    shutil.copytree(PROGRAMS, folder)
    shutil.copy(models_lock, folder / "remote-code.lock")
    shutil.copytree(fixtures / "models" / "decoder", folder / "decoder")
    (folder / ".env").write_text("decoy")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("decoy")
    os.chmod(tmp_path, 0o755)
    return folder
