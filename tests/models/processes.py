"""Native and guarded runs side by side, each in a process and with caches of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
MODES = ("native", "guarded")


def run_both(script: Path, folder: Path, lockfile: Path, scratch: Path) -> dict[str, Any]:
    """What `script` wrote natively and guarded, by mode; a run that failed fails with its own words."""
    running = {mode: _start(script, mode, folder, lockfile, scratch) for mode in MODES}
    results = {}
    for mode, (process, out) in running.items():
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, f"{mode}:\n{errors}"
        results[mode] = json.loads(out.read_text())
    return results


def _start(script: Path, mode: str, folder: Path, lockfile: Path, scratch: Path) -> tuple[subprocess.Popen[str], Path]:
    out = scratch / f"{mode}.json"
    home = scratch / mode
    home.mkdir(parents=True)
    command = [sys.executable, str(script), mode, str(folder), str(out)]
    if mode == "guarded":
        command += ["--lock", str(lockfile)]
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(home / "cache"),
        "HF_MODULES_CACHE": str(home / "modules"),
        "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)]),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    process = subprocess.Popen(
        command, env=environment, cwd=home, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    return process, out
