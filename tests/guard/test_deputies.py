"""Trusted deputies of the monitor; what they must not be talked into is in `fixtures/escapes/`."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from safe_remote_code.errors import GuardViolationError
from safe_remote_code.guard.context import PackageContext
from safe_remote_code.guard.mediated.files import replacements
from safe_remote_code.monitor import deputies
from safe_remote_code.policy import load_policy


def test_the_folders_of_the_compiler_are_known_while_tempfile_holds_its_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first `gettempdir` of a process opens files under its lock, and the hook is asked about these."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(deputies._is_of_compiler("/etc/passwd")), daemon=True)
    with tempfile._once_lock:  # type: ignore[attr-defined]  # no public name
        thread.start()
        thread.join(10)
    assert answers == [False]


def _no_module(path: str) -> Any:
    raise KeyError(path)


def test_copying_what_is_not_there_fails_as_natively(tmp_path: Path) -> None:
    """Before the target is judged, and only for places that may be read: it tells nothing of others."""
    context = PackageContext(source="local:x", digest="", granted=load_policy("default").granted("local:x"), load=_no_module)
    context.read_roots.add(os.path.realpath(tmp_path))
    copy: Any = replacements(context)["shutil.copy"]
    with pytest.raises(FileNotFoundError):
        copy(str(tmp_path / "missing.npz"), "/elsewhere")
    for source in (tmp_path.parent / "missing.npz", tmp_path):
        with pytest.raises(GuardViolationError):
            copy(str(source), "/elsewhere")
