"""What every test stands on: folders of its own for all caches, no network, torch only where it is.

The variables are set before any test module can import huggingface_hub or transformers, which read
them once, at import.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
FIXTURES = TESTS.parent / "fixtures"
_CACHES = tempfile.mkdtemp(prefix="safe-remote-code-tests-")

os.environ |= {
    "XDG_CACHE_HOME": f"{_CACHES}/xdg",
    "XDG_STATE_HOME": f"{_CACHES}/state",
    "HF_HOME": f"{_CACHES}/hf",
    "HF_MODULES_CACHE": f"{_CACHES}/modules",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}
os.environ.setdefault("OMP_NUM_THREADS", "1")
for _folder in (TESTS, TESTS.parent):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(_CACHES, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs torch where torch or transformers is absent."""
    missing = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    if missing:
        skip = pytest.mark.skip(reason=f"{' and '.join(missing)} not installed")
        for item in items:
            if item.get_closest_marker("torch"):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder `fixtures/`."""
    return FIXTURES


@pytest.fixture(scope="session")
def models_lock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lock file in which the three model fixtures are pinned."""
    from pinned import pin_folder

    lockfile = tmp_path_factory.mktemp("lock") / "remote-code.lock"
    for folder in sorted((FIXTURES / "models").iterdir()):
        pin_folder(folder, lockfile)
    return lockfile


@pytest.fixture
def not_installed() -> Iterator[None]:
    """Whatever the test installs is gone after it."""
    from safe_remote_code import uninstall

    yield
    uninstall()
