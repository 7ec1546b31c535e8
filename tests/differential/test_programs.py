"""Programs that are admitted behave under the guard as under plain CPython."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

pytest.importorskip("RestrictedPython")

from differential.both import Seen, guarded, lay_down, natively, programs
from differential.generate import Program

pytestmark = pytest.mark.filterwarnings("ignore::SyntaxWarning")  # what natively warns of generated text
SEEDS = range(24)
#: Differences that we know of and accept, by program and case. A row that is no longer true fails.
ACCEPTED = {
    ("typed", "case_protocol"): "armour puts names on every class, and a runtime protocol counts them (3.11)",
    ("typed_postponed", "case_protocol"): "the same",
}


@pytest.mark.parametrize("program", programs(), ids=lambda path: path.stem)
def test_it_behaves_as_under_plain_python(program: Path, tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    lay_down(program, folder)
    native, ours = natively(folder), guarded(folder)
    assert native[""].result == "returned None"
    assert len(native) > 1
    assert _differences(native, ours, program.stem) == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_generated_program_behaves_as_under_plain_python(seed: int, tmp_path: Path) -> None:
    text = Program(seed).text()
    ast.parse(text)
    folder = tmp_path / "repo"
    folder.mkdir()
    (folder / "main.py").write_text(text, encoding="utf-8")
    native, ours = natively(folder), guarded(folder)
    assert len(native) > 1
    assert _differences(native, ours, "") == {}


def test_generated_programs_are_not_all_failures(tmp_path: Path) -> None:
    """Else the comparison would say little."""
    results = []
    for seed in SEEDS[:10]:
        folder = tmp_path / str(seed) / "repo"
        folder.mkdir(parents=True)
        (folder / "main.py").write_text(Program(seed).text(), encoding="utf-8")
        results += [seen.result for case, seen in natively(folder).items() if case]
    returned = sum(result.startswith("returned") for result in results)
    assert 0.2 < returned / len(results) < 0.8, f"{returned} of {len(results)}"


def _differences(native: dict[str, Seen], ours: dict[str, Seen], program: str) -> dict[str, tuple[Seen, Seen | None]]:
    found = {case: (seen, ours.get(case)) for case, seen in native.items() if seen != ours.get(case)}
    return {case: pair for case, pair in found.items() if (program, case) not in ACCEPTED}
