"""Trusted deputies of the monitor; what they must not be talked into is in `fixtures/escapes/`."""

from __future__ import annotations

import tempfile
import threading

import pytest

from safe_remote_code.monitor import deputies


def test_the_folders_of_the_compiler_are_known_while_tempfile_holds_its_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first `gettempdir` of a process opens files under its lock, and the hook is asked about these."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(deputies._is_of_compiler("/etc/passwd")), daemon=True)
    with tempfile._once_lock:  # type: ignore[attr-defined]  # no public name
        thread.start()
        thread.join(10)
    assert answers == [False]
