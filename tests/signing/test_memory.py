"""What was seen is kept: by name, across processes, and only forgotten as far as somebody asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from safe_remote_code.errors import SignatureError
from safe_remote_code.verify.memory import forget, recall, remember
from signing.approvals import DAY, NOW

HOUR = DAY / 24


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "seen.json"


def test_a_new_name_is_remembered_at_once_however_low_its_number(memory: Path) -> None:
    remember(memory, {"a": 5}, NOW)
    remember(memory, {"b": 1}, NOW)
    assert recall(memory).numbers == {"a": 5, "b": 1}


def test_a_rollback_that_another_process_brought_about_meanwhile_is_refused(memory: Path) -> None:
    remember(memory, {"a": 5}, NOW)
    with pytest.raises(SignatureError, match="4 is a rollback"):
        remember(memory, {"a": 4, "b": 1}, NOW)
    assert recall(memory).numbers == {"a": 5}


def test_the_time_only_goes_forward(memory: Path) -> None:
    remember(memory, {"a": 1}, NOW)
    remember(memory, {"a": 2}, NOW - HOUR / 60)
    assert recall(memory).time == NOW
    remember(memory, {"a": 2}, NOW + HOUR / 2)
    assert recall(memory).time == NOW, "within the hour, a time alone is not worth a write"
    remember(memory, {"a": 2}, NOW + 2 * HOUR)
    assert recall(memory).time == NOW + 2 * HOUR


def test_forgetting_takes_what_was_asked_and_nothing_else(memory: Path) -> None:
    remember(memory, {"p: x under r": 3, "p: y under r": 4, "q: x under r": 5}, NOW)
    assert forget(memory, "p: x under ", clock=False) == 1
    assert recall(memory).numbers == {"p: y under r": 4, "q: x under r": 5}
    assert recall(memory).time == NOW
    assert forget(memory, "\n", clock=True) == 0
    assert recall(memory).numbers == {"p: y under r": 4, "q: x under r": 5}
    assert recall(memory).time < NOW - 1000 * DAY


def test_a_number_that_is_equal_is_no_rollback(memory: Path) -> None:
    remember(memory, {"a": 5}, NOW)
    recall(memory).check_numbers({"a": 5, "b": 1}, "")
