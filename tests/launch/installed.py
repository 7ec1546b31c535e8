"""A virtual environment with our wheel installed, over the libraries of the Python that runs the tests."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).resolve().parent / "programs"


@dataclass(frozen=True)
class Installed:
    """The Python of that environment, and how to run things with it; nothing of the source checkout is on its path."""

    python: str
    home: Path

    def environment(self, **extra: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "HF_MODULES_CACHE")}
        caches = {"XDG_CACHE_HOME": str(self.home / "cache"), "HF_HOME": str(self.home / "hf"), "OMP_NUM_THREADS": "1"}
        return {**kept, **caches, "CUDA_VISIBLE_DEVICES": "", **extra}

    def command(self, *words: object) -> list[str]:
        return [self.python, "-m", "safe_remote_code", *map(str, words)]

    def run(self, *words: object, cwd: Path, timeout: int = 300, **extra: str) -> subprocess.CompletedProcess[str]:
        """`safe-remote-code run WORDS`."""
        return self.raw(self.command("run", *words), cwd=cwd, timeout=timeout, **extra)

    def raw(
        self, command: list[str], cwd: Path, timeout: int = 300, **extra: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=cwd, env=self.environment(**extra), capture_output=True, text=True, timeout=timeout, check=False
        )


def build_wheel(folder: Path) -> Path:
    """Our wheel, as `pip` builds it; skips where its build backend cannot be had."""
    command = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--quiet", "--wheel-dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"the wheel cannot be built here: {done.stderr.strip()[-200:]}")
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(folder: Path) -> Installed:
    """Make the environment below `folder`."""
    wheel = build_wheel(folder / "wheel")
    place = folder / "venv"
    venv.create(place, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)  # what an installer does with a pure wheel; names of a wheel of our own
    (site / "zz_libraries.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return Installed(python=str(place / "bin" / "python"), home=folder)
