"""What was seen is kept: by name, across processes, and only forgotten as far as somebody asked."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from safe_remote_code.errors import DocumentError, SignatureError
from safe_remote_code.verify.memory import Seen, default_memory, forget, recall, remember
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
    assert forget(memory, None, clock=True) == 0
    assert recall(memory).numbers == {"p: y under r": 4, "q: x under r": 5}
    assert recall(memory).time < NOW - 1000 * DAY


def test_a_number_that_is_equal_is_no_rollback(memory: Path) -> None:
    remember(memory, {"a": 5}, NOW)
    recall(memory).check_numbers({"a": 5, "b": 1}, "")


def test_what_cannot_be_written_down_is_refused_but_for_the_hour(memory: Path) -> None:
    """Of a read-only machine, whose memory was filled before, loads are not refused every hour."""
    remember(memory, {"a": 1}, NOW)
    lock = memory.with_name("seen.json.lock")
    lock.unlink()
    lock.mkdir()
    remember(memory, {"a": 1}, NOW + 2 * HOUR)
    assert recall(memory).time == NOW
    for numbers in ({"a": 2}, {"b": 1}):
        with pytest.raises(DocumentError, match="cannot be written"):
            remember(memory, numbers, NOW)


def test_what_is_remembered_adds_to_what_was_seen(memory: Path) -> None:
    assert recall(memory) == Seen()
    assert (recall(memory).numbers, recall(memory).time.isoformat()) == ({}, "1970-01-01T00:00:00+00:00")
    remember(memory, {"a": 1, "b": 2}, NOW)
    remember(memory, {"b": 3, "c": 4}, NOW)
    assert memory.read_bytes() == b'{"format":1,"seen":{"a":1,"b":3,"c":4},"time":"2026-11-23T12:00:00Z"}\n'
    assert forget(memory, None, clock=False) == 0
    assert forget(memory, "", clock=False) == 3
    assert recall(memory) == Seen(time=NOW)


def test_folder_and_lock_are_for_their_owner_alone(tmp_path: Path) -> None:
    place = tmp_path / "state" / "seen.json"
    before = os.umask(0)
    try:
        remember(place, {"a": 1}, NOW)
    finally:
        os.umask(before)
    modes = [path.stat().st_mode & 0o777 for path in (place.parent, place.with_name("seen.json.lock"), place)]
    assert modes == [0o700, 0o600, 0o644]


def test_one_process_writes_at_a_time(memory: Path) -> None:
    """`forget` waits for whoever holds the lock, and holds it while it reads and writes."""
    remember(memory, {"a": 1}, NOW)
    with memory.with_name("seen.json.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        thread = threading.Thread(target=forget, args=(memory, "a"), kwargs={"clock": False}, daemon=True)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive() and recall(memory).numbers == {"a": 1}
    thread.join(10)
    assert recall(memory).numbers == {}


@pytest.mark.parametrize(("state", "expected"), [("/s", "/s/safe-remote-code/seen.json"), ("", "/h/.local/state/safe-remote-code/seen.json"), (None, "/h/.local/state/safe-remote-code/seen.json")])
def test_where_it_lies(state: str | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/h")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    if state is not None:
        monkeypatch.setenv("XDG_STATE_HOME", state)
    assert default_memory() == Path(expected)
