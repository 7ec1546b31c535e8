"""Analysis and guard, two readings of the same text, agree on what they refuse by grammar."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("RestrictedPython")

from .fuzz import examine

RULES = Path(__file__).parents[2] / "fixtures" / "rules"


@pytest.mark.parametrize("path", sorted(RULES.glob("*/*.py")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_example_of_a_rule(path: Path) -> None:
    """The fuzzer mutates these and would meet a difference sooner or later."""
    assert examine(path.read_bytes()) is None
