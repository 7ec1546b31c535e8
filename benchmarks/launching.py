"""The launcher: how long it takes to start a Python, and a model's forward under it, beside the same Python alone.

`launch-start` is a whole process that does nothing; `forward-launched` the median forward of a decoder in a fresh
process, both sides from one installed wheel, natively loaded and guarded. Needs what `safe-remote-code run` needs.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from tests.launch.installed import Installed, install

from .measure import Measurement, Side, interleave, measurements
from .subjects import ROOT, Subject
from .workplace import Workplace

_PROGRAM = Path(__file__).with_name("launched.py")
_SECONDS = 600
#: One forward is a few milliseconds; a process measures its own median of so many.
_FORWARDS = 300


def launch(subject: Subject, place: Workplace, rounds: int) -> list[Measurement]:
    """`launch-start` and `forward-launched`."""
    python = install(place.folder / "installed")
    start = interleave(lambda side: [_seconds(python, place, side, ["-c", "pass"])[0]], rounds)
    words = [str(_PROGRAM), str(subject.directory), subject.auto_class, str(_FORWARDS)]
    forward = interleave(lambda side: [float(_seconds(python, place, side, words)[1])], rounds)
    return [
        *measurements(["launch-start"], start),
        *measurements([f"forward-launched/{subject.name}"], forward),
    ]


def _seconds(python: Installed, place: Workplace, side: Side, words: list[str]) -> tuple[float, str]:
    command = [python.python, *words]
    if side == "ours":
        command = python.command("run", "--lockfile", place.lockfile, "--read", ROOT / "fixtures", "--", *command)
    start = time.perf_counter()
    done = subprocess.run(
        command, env=python.environment(HF_MODULES_CACHE=str(place.folder / "modules"), HF_HUB_OFFLINE="1"),
        cwd=place.folder, capture_output=True, text=True, timeout=_SECONDS,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return seconds, json.loads(done.stdout.splitlines()[-1]) if done.stdout else ""
