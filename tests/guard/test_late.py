"""Modules that are loaded after remote code: armoured if they are a library's, and otherwise as ever."""

from __future__ import annotations

import importlib
import importlib.util
import runpy
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

pytest.importorskip("RestrictedPython")

from safe_remote_code.guard.armour import prepare


@pytest.fixture(autouse=True)
def _prepared() -> None:
    prepare()


def test_a_library_is_armoured_when_its_body_has_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    module = importlib.import_module("colorsys")
    assert module.getattr.__module__ == "safe_remote_code.guard.armour.lookups"
    assert type(module.__loader__) is SourceFileLoader
    assert type(module.__spec__.loader) is SourceFileLoader
    assert module.rgb_to_hsv(0.0, 0.0, 1.0)[2] == 1.0


def test_modules_of_the_user_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "of_the_user.py").write_text("names = sorted(name for name in globals() if name[:2] != '__')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.import_module("of_the_user").names == []


def test_who_asks_a_loader_for_code_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "started.py").write_text("answer = 42\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert runpy.run_module("started")["answer"] == 42
    spec = importlib.util.find_spec("started")
    assert spec is not None
    assert spec.loader is not None
    assert spec.loader.get_source("started") == "answer = 42\n"  # type: ignore[attr-defined]  # of a file


def test_a_module_that_fails_or_is_missing_fails_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing.py").write_text("raise ValueError('no')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="no"):
        importlib.import_module("failing")
    assert "failing" not in sys.modules
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_module_anywhere")
