"""The reports on one repository, word for word.

Regenerate with `python tests/cli/test_golden.py` and read the difference before you commit it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

from cli.commands import run

GOLDEN = Path(__file__).resolve().parent / "golden"
COMMANDS = {
    "audit.txt": ("audit", "repo"),
    "audit.json": ("audit", "repo", "--format", "json"),
    "audit.sarif": ("audit", "repo", "--format", "sarif"),
    "suggest.txt": ("policy", "suggest", "repo", "--tombstones"),
}


def _report(name: str) -> str:
    text = run(*COMMANDS[name]).stdout
    # The place of the checkout is the one thing in a report that is not a function of the repository.
    return text.replace(str(GOLDEN), "GOLDEN")


@pytest.mark.parametrize("name", COMMANDS)
def test_it_reports_as_before(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN)
    assert _report(name) == (GOLDEN / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    os.chdir(GOLDEN)
    for _name in COMMANDS:
        (GOLDEN / _name).write_text(_report(_name), encoding="utf-8")
