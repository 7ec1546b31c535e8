"""The Trainer cannot tell a guarded model from a native one, and its checkpoints hold the approved code."""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from .processes import TESTS, run_both

pytestmark = pytest.mark.torch

NAMES = ("decoder", "vision_language")
PARTS = ("ignored", "whole", "steered", "checkpoint", "resumed")
#: Every event of TrainerCallback, but that of pushing to the Hub.
EVENTS = {
    "init_end", "train_begin", "train_end", "epoch_begin", "epoch_end", "step_begin", "step_end", "substep_end",
    "pre_optimizer_step", "optimizer_step", "evaluate", "predict", "prediction_step", "log", "save",
}  # fmt: skip


@pytest.fixture(scope="session")
def both(models_lock: Path, fixtures: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `training.py` wrote in both modes for a fixture, run when first asked for."""

    @cache
    def run(name: str) -> dict[str, Any]:
        script = TESTS / "models" / "training.py"
        return run_both(script, fixtures / "models" / name, models_lock, tmp_path_factory.mktemp(name))

    return run


@pytest.fixture(params=NAMES)
def guarded(request: pytest.FixtureRequest, both: Any) -> Any:
    """The results of the guarded run."""
    return both(request.param)["guarded"]["results"]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", NAMES)
def test_a_training_is_that_of_the_native_model(both: Any, name: str, part: str) -> None:
    """Losses, gradient norms, tokens, events, final parameters, files: all of it."""
    found = both(name)
    assert found["guarded"]["results"][part] == found["native"]["results"][part]


def test_labels_of_minus_100_are_left_out_of_the_loss(guarded: Any) -> None:
    found = guarded["ignored"]
    assert found["padding"] > 0
    assert found["loss"] == pytest.approx(found["expected"], rel=1e-6)
    assert found["by-count"] == pytest.approx(found["expected"], rel=1e-6)
    assert found["with-padding"] != pytest.approx(found["expected"], rel=1e-3)


def test_the_trainer_hands_the_count_of_targets_to_forward(guarded: Any) -> None:
    """It sees `**kwargs` in the signature of forward, which therefore is not wrapped away."""
    assert guarded["whole"]["accepts-count"] is True
    assert guarded["whole"]["tokens"] > 0


def test_the_loss_goes_down(guarded: Any) -> None:
    losses = [entry["loss"] for entry in guarded["whole"]["history"] if "loss" in entry]
    assert len(losses) == 6
    assert losses[-1] < losses[0] / 2


def test_every_event_of_a_callback_is_called_in_order(guarded: Any) -> None:
    events = guarded["whole"]["events"]
    names = [event.partition("@")[0] for event in events]
    counts = Counter(names)
    assert set(names) == EVENTS
    assert names[:3] == ["init_end", "train_begin", "epoch_begin"]
    step = ["step_begin", "substep_end", "pre_optimizer_step", "optimizer_step", "step_end"]
    inside = [name for name in names if name in step]
    assert inside == step * 6
    assert (counts["train_begin"], counts["train_end"], counts["save"], counts["predict"]) == (1, 1, 2, 1)
    numbers = [int(event.partition("@")[2]) for event in events]
    assert numbers == sorted(numbers)


def test_the_flags_of_the_control_are_obeyed(guarded: Any) -> None:
    """One log at step 1, the epoch cut at 2, a checkpoint and an evaluation at 3, the end at 4."""
    found = guarded["steered"]
    logged = {name: [e["step"] for e in found["history"] if name in e] for name in ("loss", "eval_loss")}
    assert logged == {"loss": [1], "eval_loss": [3]}
    assert found["saved"] == ["checkpoint-3"]
    assert found["steps"] == 4
    assert found["epoch"] == pytest.approx(1 + 2 / 3)


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_holds_the_approved_code(both: Any, fixtures: Path, name: str) -> None:
    code = both(name)["guarded"]["results"]["checkpoint"]["code"]
    originals = {path.name: path.read_bytes() for path in (fixtures / "models" / name).glob("*.py")}
    framed = {key: hashlib.sha256(len(data).to_bytes(8, "big") + data).hexdigest() for key, data in originals.items()}
    assert code == framed


def test_a_checkpoint_holds_the_state_of_the_trainer(guarded: Any) -> None:
    """`TrainerState.load_from_json` reads what the run had logged up to there."""
    found = guarded["checkpoint"]
    assert "trainer_state.json" in found["files"]
    assert found["step"] == 3
    assert found["history"] == guarded["whole"]["history"][: len(found["history"])]


def per_step(found: Any) -> list[Any]:
    """The history without the summary at its end, which counts the losses since the start of the process."""
    return [entry for entry in found["history"] if "loss" in entry or "eval_loss" in entry]


def test_a_resumed_training_ends_where_the_uninterrupted_one_does(guarded: Any) -> None:
    whole, resumed = guarded["whole"], guarded["resumed"]
    assert per_step(resumed) == per_step(whole)
    assert resumed["parameters"] == whole["parameters"]
    assert (resumed["steps"], resumed["tokens"]) == (whole["steps"], whole["tokens"])


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_with_one_byte_of_code_changed_is_refused(both: Any, fixtures: Path, name: str) -> None:
    """The untouched checkpoint loads under the same lock, by content: see `checkpoint` above."""
    changed = both(name)["guarded"]["changed"]
    files = {path.name for path in (fixtures / "models" / name).glob("*.py")}
    assert set(changed) == files
    assert set(changed.values()) <= {"NotPinnedError", "DigestMismatchError"}
