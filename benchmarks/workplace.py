"""A folder of this run alone: module cache, source store and lock file; and the environment of its processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from safe_remote_code.fetch import open_source
from safe_remote_code.lockfile import Lock, write_lock
from safe_remote_code.pinning import locked_package
from safe_remote_code.reference import parse_source

from .subjects import ROOT, Subject

_SECONDS_A_PROCESS = 900


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """Where a run keeps its caches. The user's own are neither read nor written."""

    folder: Path

    @property
    def lockfile(self) -> Path:
        """The lock that pins every subject."""
        return self.folder / "remote-code.lock"

    def pin(self, subjects: Iterable[Subject]) -> None:
        """Pin the code of all subjects as it is now."""
        lock = Lock()
        for subject in subjects:
            package, _ = locked_package(open_source(parse_source(subject.directory, None)))
            lock = lock.with_package(package, replace_source=False)
        write_lock(lock, self.lockfile)

    def run(self, module: str, *words: str) -> tuple[Any, float]:
        """Run `python -m module words`; the JSON of its last line, and its seconds from start to exit."""
        command = [sys.executable, "-m", module, *words]
        start = time.perf_counter()
        done = subprocess.run(
            command, cwd=ROOT, env=self._environment(), capture_output=True, text=True, timeout=_SECONDS_A_PROCESS
        )
        seconds = time.perf_counter() - start
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
        return json.loads(done.stdout.splitlines()[-1]), seconds

    def _environment(self) -> dict[str, str]:
        # A warm cache holds bytecode: of libraries and of our package, and natively of remote code as well.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {
            **inherited,
            "PYTHONPATH": str(ROOT),
            "HF_MODULES_CACHE": str(self.folder / "modules"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "TMPDIR": str(self.folder),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
