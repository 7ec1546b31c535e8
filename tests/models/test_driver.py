"""Everything that `tests/driver.py` does with a fixture gives, guarded, what it gives natively."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from .processes import TESTS, run_both

pytestmark = pytest.mark.torch

NAMES = ("decoder", "encoder", "vision_language")
STEPS = (
    "class", "parameters", "forward", "other-heads", "backward", "generate", "chat", "save-and-load",
    "precisions", "copies", "tokenizer", "compile",
)  # fmt: skip


@pytest.fixture(scope="session")
def both(models_lock: Path, fixtures: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Results of both modes of a fixture, run when first asked for."""

    @cache
    def run(name: str) -> dict[str, Any]:
        folder = fixtures / "models" / name
        found = run_both(TESTS / "driver.py", folder, models_lock, tmp_path_factory.mktemp(name))
        return {mode: document["results"] for mode, document in found.items()}

    return run


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", NAMES)
def test_a_guarded_model_gives_what_the_native_one_gives(both: Any, name: str, step: str) -> None:
    found = both(name)
    assert found["guarded"][step] == found["native"][step]


@pytest.mark.parametrize("name", NAMES)
def test_no_step_of_the_driver_is_left_out_here(both: Any, name: str) -> None:
    found = both(name)
    assert set(found["native"]) == set(found["guarded"]) == set(STEPS)
