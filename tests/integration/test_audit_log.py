"""The audit log says what loaded code did, and a refusal can end the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pinned import pin_folder
from safe_remote_code import GuardViolationError, installed
from safe_remote_code.errors import NotPinnedError
from safe_remote_code.events import Event, audit_log, is_logged

from .repos import write
from .test_install import home

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("not_installed")]

CODE = """
import os
import socket


class Thing:
    @staticmethod
    def read(path):
        with open(path, encoding="utf-8") as stream:
            return stream.read()

    @staticmethod
    def connect():
        return socket.socket()
"""


def events(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text(encoding="ascii").splitlines()]


@pytest.fixture
def thing(tmp_path: Path) -> Path:
    """A pinned repository with code that reads what it is told, and a file of its own."""
    folder = write(tmp_path / "thing", {"thing.py": CODE, "vocab.txt": "words", "config.json": "{}"})
    pin_folder(folder, tmp_path / "lock", "thing.Thing")
    return folder


def test_each_kind_of_event_is_a_line(thing: Path, tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    outside = write(tmp_path, {"secret.txt": "s"}) / "secret.txt"
    with installed(lockfile=tmp_path / "lock", audit_log=log):
        cls = home().get_class_from_dynamic_module("thing.Thing", str(thing))
        assert cls.read(str(thing / "vocab.txt")) == "words"
        with pytest.raises(GuardViolationError):
            cls.read(str(outside))
        with pytest.raises(GuardViolationError):
            cls.connect()
        with pytest.raises(NotPinnedError):
            home().get_class_from_dynamic_module("other.Other", write(tmp_path / "o", {"other.py": "class Other: 0"}))
    found = events(log)
    assert [event["event"] for event in found] == ["loaded", "opened", "denied", "tombstone", "refused"]
    loaded, opened, denied, tombstone, refused = found
    assert {event["format"] for event in found} == {1}
    assert {event["pid"] for event in found} == {os.getpid()}
    assert loaded["name"] == "thing.py:Thing"
    assert str(loaded["digest"]).startswith("sha256:")
    assert opened["name"] == os.path.realpath(thing / "vocab.txt")
    assert (denied["source"], denied["digest"]) == ("local:thing", loaded["digest"])
    assert denied["capability"] == "file-read"
    assert str(outside) in str(denied["message"])
    assert "socket.socket" in str(tombstone["message"])
    assert refused["name"] == "not-pinned"


def test_a_granted_capability_is_told_when_it_is_used(thing: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(
        'format = 1\nextends = ["default"]\n[[grant]]\nsources = ["local:thing"]\ncapabilities = ["network"]\n'
        'names = ["socket.socket"]\nwhy = "for the test"\n'
    )
    told: list[Event] = []
    with installed(policy, tmp_path / "lock", audit_log=told.append):
        home().get_class_from_dynamic_module("thing.Thing", str(thing)).connect().close()
    granted = [event for event in told if event.event == "granted"]
    assert [(event.name, event.capability) for event in granted] == [("socket.__new__", "network")]
    assert granted[0].source == "local:thing"


def test_a_file_is_appended_to_for_its_owner_only_and_closed(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    for name in ("first", "second"):
        with audit_log(log) as opened:
            opened.tell(Event(event="loaded", name=name))
    assert [event["name"] for event in events(log)] == ["first", "second"]
    assert log.stat().st_mode & 0o777 == 0o600
    assert not is_logged()


def test_an_event_that_cannot_be_told_stops_what_it_is_about(thing: Path, tmp_path: Path) -> None:
    def full(event: Event) -> None:
        raise OSError("no space left")

    with installed(lockfile=tmp_path / "lock", audit_log=full), pytest.raises(OSError, match="no space left"):
        home().get_class_from_dynamic_module("thing.Thing", str(thing))
    with pytest.raises(TypeError, match="path or to a function"):
        audit_log(3)  # type: ignore[arg-type]  # what the test is about


def test_a_refusal_can_end_the_process(tmp_path: Path) -> None:
    """Not even `except BaseException` around the load goes on."""
    folder = write(tmp_path / "other", {"other.py": "class Other:\n    pass\n"})
    script = (
        "import safe_remote_code, transformers.dynamic_module_utils as home\n"
        f"safe_remote_code.install(lockfile={str(tmp_path / 'lock')!r}, on_refusal='abort')\n"
        "try:\n"
        f"    home.get_class_from_dynamic_module('other.Other', {str(folder)!r})\n"
        "except BaseException:\n"
        "    print('went on')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 77
    assert "went on" not in done.stdout
    assert "not pinned" in done.stderr
    with pytest.raises(ValueError, match="on_refusal"), installed(on_refusal="shrug"):  # type: ignore[arg-type]
        pass
