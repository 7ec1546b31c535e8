"""Ranks, threads and workers start together, on a cold or a read-only store, and all get the same class."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from filesystems import read_only
from pinned import pin_folder
from safe_remote_code import get_class_from_dynamic_module

from .repos import write

THREADS = 8
#: For a suite; `make processes` starts 32.
PROCESSES = int(os.environ.get("PROCESSES", "8"))

#: Slow at import, so that whoever comes second really finds the first one inside.
FILES = {
    "model.py": "import time\nfrom .part import MARK\n\ntime.sleep(0.2)\n\n\nclass Thing:\n    mark = MARK\n",
    "part.py": "import time\n\ntime.sleep(0.2)\nMARK = 'together'\n",
    "other.py": "from .part import MARK\nfrom .model import Thing\n\n\nclass Other(Thing):\n    pass\n",
}

SCRIPT = """
import sys, time
from pathlib import Path
from safe_remote_code import get_class_from_dynamic_module as load
folder, lockfile, ready, go = sys.argv[1:]
Path(ready).touch()
while not Path(go).exists():
    time.sleep(0.005)
other = load("other.Other", folder, lockfile=lockfile)
model = load("model.Thing", folder, lockfile=lockfile)
assert issubclass(other, model)
print(model.mark, Path(sys.modules[model.__module__].__file__).parent)
"""


def test_threads_that_load_at_once_get_one_class(tmp_path: Path) -> None:
    folder = write(tmp_path / "threads", FILES)
    pin_folder(folder, tmp_path / "lock")
    barrier = threading.Barrier(THREADS)

    def load(number: int) -> Any:
        barrier.wait()
        reference = "other.Other" if number % 2 else "model.Thing"
        return get_class_from_dynamic_module(reference, folder, lockfile=tmp_path / "lock")

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(load, range(THREADS)))
    models, others = set(found[::2]), set(found[1::2])
    assert len(models) == len(others) == 1
    assert issubclass(others.pop(), models.pop())


def test_threads_that_load_different_repositories_do_not_wait_for_ever(tmp_path: Path) -> None:
    folders = [write(tmp_path / f"r{n}", {**FILES, "part.py": f"MARK = 'number {n}'\n"}) for n in range(THREADS)]
    for folder in folders:
        pin_folder(folder, tmp_path / "lock")
    with ThreadPoolExecutor(THREADS) as pool:
        loading = [
            pool.submit(get_class_from_dynamic_module, "model.Thing", folder, lockfile=tmp_path / "lock")
            for folder in folders
        ]
        marks = [future.result(timeout=60).mark for future in loading]
    assert marks == [f"number {n}" for n in range(THREADS)]


@pytest.fixture(params=["cold", "read-only"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, bool]]:
    """A folder for caches that is empty, and whether it can be written to."""
    folder = tmp_path / "cache"
    folder.mkdir()
    if request.param == "cold":
        yield folder, True
        return
    with read_only(folder):
        with pytest.raises(OSError):
            (folder / "probe").touch()
        yield folder, False


def test_processes_that_start_together_lose_no_race(tmp_path: Path, store: tuple[Path, bool], monkeypatch: Any) -> None:
    folder = write(tmp_path / "processes", FILES)
    pin_folder(folder, tmp_path / "lock")
    monkeypatch.setenv("XDG_CACHE_HOME", str(store[0]))
    ready = [tmp_path / f"ready{number}" for number in range(PROCESSES)]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(folder), str(tmp_path / "lock"), str(path), str(tmp_path / "go")],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for path in ready
    ]  # fmt: skip
    deadline = time.monotonic() + 300
    while not all(path.exists() for path in ready) and time.monotonic() < deadline:
        time.sleep(0.01)
    (tmp_path / "go").touch()
    ended = [(process.communicate(timeout=120), process.returncode) for process in running]
    assert [code for _, code in ended] == [0] * PROCESSES, ended
    said = {out for (out, _), _ in ended}
    assert len(said) == 1
    mark, _, place = said.pop().strip().partition(" ")
    assert mark == "together"
    laid_out = {path.name: path.read_text() for path in Path(place).glob("*")}
    assert laid_out == (FILES if store[1] else {})
