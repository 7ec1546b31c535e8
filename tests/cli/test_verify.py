"""`verify` says, file by file, whether a tree is the pinned one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cli.commands import PLAIN, repository, run

SIBLINGS = {
    "modeling_plain.py": PLAIN
    + "\nfrom .helper import scale\n\ntry:\n    from . import fast\nexcept ImportError:\n    fast = None\n",
    "helper.py": "def scale(x):\n    return x\n",
}


@pytest.fixture
def pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = repository(tmp_path / "plain", SIBLINGS)
    assert run("pin", folder).exit_code == 0
    return folder


def test_an_untouched_tree_is_verified(pinned: Path) -> None:
    result = run("verify", pinned)
    assert result.exit_code == 0
    assert "  ok       helper.py\n  ok       modeling_plain.py\n" in result.stdout
    assert "local:plain: verified" in result.stdout


def test_a_changed_file_is_named(pinned: Path) -> None:
    (pinned / "helper.py").write_text("def scale(x):\n    return 2 * x\n")
    result = run("verify", pinned)
    assert result.exit_code == 1
    assert "  changed  helper.py\n  ok       modeling_plain.py\n" in result.stdout
    assert "NOT the pinned code" in result.stdout
    assert "--update" in result.stderr


def test_one_change_that_fails_several_modules_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    second = "from .modeling_plain import PlainModel\n\n\nclass Second(PlainModel):\n    pass\n"
    config = {"auto_map": {"AutoModel": "modeling_plain.PlainModel", "AutoModelForCausalLM": "second.Second"}}
    folder = repository(tmp_path / "two", {"modeling_plain.py": PLAIN, "second.py": second}, config)
    assert run("pin", folder).exit_code == 0
    (folder / "modeling_plain.py").write_text(PLAIN + "# more\n")
    result = run("verify", folder)
    assert result.exit_code == 1
    assert result.stderr.count("error: ") == 1


def test_a_missing_file_is_named(pinned: Path) -> None:
    (pinned / "helper.py").unlink()
    result = run("verify", pinned)
    assert result.exit_code == 1
    assert "  missing  helper.py" in result.stdout


def test_a_file_that_the_pinned_code_would_import_is_refused(pinned: Path) -> None:
    (pinned / "fast.py").write_text("def go(x):\n    return x\n")
    result = run("verify", pinned)
    assert result.exit_code == 1
    assert "fast.py" in result.stderr


def test_a_file_that_nothing_imports_changes_nothing(pinned: Path) -> None:
    (pinned / "train.py").write_text("import os\nos.fork()\n")
    assert run("verify", pinned).exit_code == 0


def test_a_configuration_that_asks_for_another_class_is_refused(pinned: Path) -> None:
    (pinned / "config.json").write_text('{"auto_map": {"AutoModel": "helper.Model"}}')
    result = run("verify", pinned)
    assert result.exit_code == 1
    assert "not an approved entry point" in result.stderr
    assert "--update" in result.stderr


def test_a_link_out_of_the_tree_is_refused(pinned: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    shutil.move(pinned / "helper.py", outside)
    (pinned / "helper.py").symlink_to(outside)
    result = run("verify", pinned)
    assert result.exit_code == 1
    assert "  refused  helper.py" in result.stdout


def test_a_checkpoint_with_some_of_the_same_code_is_verified_by_content(pinned: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint-10"
    shutil.copytree(pinned, checkpoint)
    result = run("verify", checkpoint)
    assert result.exit_code == 0
    assert "local:checkpoint-10: pinned as local:plain" in result.stdout
    (checkpoint / "helper.py").write_text("x = 1\n")
    assert run("verify", checkpoint).exit_code == 1


def test_what_is_not_pinned_is_refused_with_the_command_that_pins_it(pinned: Path, tmp_path: Path) -> None:
    repository(tmp_path / "with space", {"modeling_plain.py": "class PlainModel:\n    x = 3\n"})
    result = run("verify", "with space")
    assert result.exit_code == 1
    assert "safe-remote-code pin 'with space'" in result.stderr
