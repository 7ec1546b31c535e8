"""The folder, the environment and the voice of the demo."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

ROOT: Final = Path(__file__).resolve().parent.parent
HOSTILE: Final = Path(__file__).resolve().with_name("hostile_repository")
MODEL: Final = ROOT / "fixtures" / "models" / "decoder"
LOCKFILE: Final = "remote-code.lock"
CANARIES: Final = ("canary-at-import", "canary-at-forward")
_WIDTH: Final = 110
_SECONDS: Final = 120


class StepFailedError(Exception):
    """The demo did not go as it is told."""


def say(text: str) -> None:
    """A sentence for the reader."""
    print(textwrap.fill(text, _WIDTH), flush=True)


def show(text: str) -> None:
    """Something that a program said, or a line of code."""
    print(textwrap.indent(text.rstrip(), "    "), flush=True)


def expect(holds: bool, claim: str) -> None:
    """Print `claim` with a tick if it holds.

    Raises:
        StepFailedError: it does not.
    """
    print(f"  [{'ok' if holds else 'FAILED'}] {claim}", flush=True)
    if not holds:
        raise StepFailedError(claim)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The throw-away folder: the repositories, the lock file and all caches lie in it."""

    folder: Path

    def build(self) -> None:
        """Put copies of the two repositories there."""
        shutil.copytree(HOSTILE, self.folder / "hostile_repository")
        shutil.copytree(MODEL, self.folder / "small_model", ignore=shutil.ignore_patterns("__pycache__"))

    def act(self, name: str) -> None:
        """Run an act of `demo.acts` in its own process.

        Raises:
            StepFailedError: it did not go as it is told.
        """
        # A refusal is logged to stderr as well, for callers that swallow exceptions; the act shows it itself.
        done = self._run("-m", "demo.acts", name, stderr=subprocess.PIPE)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            raise StepFailedError(name)

    def command(self, *words: str) -> None:
        """Show and run a `safe-remote-code` command.

        Raises:
            StepFailedError: it did not exit with 0.
        """
        show(f"$ safe-remote-code {shlex.join(words)}")
        done = self._run("-m", "safe_remote_code", *words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        show(done.stdout)
        expect(done.returncode == 0, f"safe-remote-code {words[0]} exits with {done.returncode}")

    def canaries(self) -> list[str]:
        """What hostile code left in the folder."""
        return [name for name in CANARIES if (self.folder / name).exists()]

    def _run(self, *words: str, **streams: int) -> subprocess.CompletedProcess[str]:
        command, environment = [sys.executable, *words], self._environment()
        return subprocess.run(command, cwd=self.folder, env=environment, text=True, timeout=_SECONDS, **streams)

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "HF_HOME": str(self.folder / "hf"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "TMPDIR": str(self.folder),
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "TRANSFORMERS_VERBOSITY": "error",
            "TOKENIZERS_PARALLELISM": "false",
            "PYTHONWARNINGS": "ignore",
            "PYTHONUNBUFFERED": "1",
            "NO_COLOR": "1",
        }
