"""The order of the stages is held by types, and the whole package is strictly typed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

ROOT = Path(__file__).resolve().parents[2]
SUBJECT = Path(__file__).with_name("stage_order.py")


def _mypy(*arguments: str, cache: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(cache)]
    return subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def _cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "mypy"


def test_each_wrong_order_of_the_stages_is_an_error_of_types(tmp_path_factory: pytest.TempPathFactory) -> None:
    done = _mypy(str(SUBJECT), cache=_cache(tmp_path_factory))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_errors_are_seen_without_the_ignores(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Else the test above would pass on a package whose types say nothing."""
    lines = SUBJECT.read_text(encoding="utf-8").splitlines(keepends=True)
    ignored = [number for number, line in enumerate(lines, 1) if "# type: ignore[" in line]
    bare = tmp_path / "stage_order_bare.py"
    bare.write_text("".join(f"{line.partition('  # type: ignore')[0].rstrip()}\n" for line in lines), encoding="utf-8")
    done = _mypy(str(bare), cache=_cache(tmp_path_factory))
    reported = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}
    assert len(ignored) >= 30
    assert reported == set(ignored), done.stdout


def test_the_package_is_strictly_typed(tmp_path_factory: pytest.TempPathFactory) -> None:
    done = _mypy(cache=_cache(tmp_path_factory))
    assert done.returncode == 0, done.stdout + done.stderr
