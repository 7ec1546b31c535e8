"""`pin` shows, then writes; it refuses to replace what it was not told to replace."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.commands import CONFIG, PLAIN, repository, run
from safe_remote_code import get_class_from_dynamic_module
from safe_remote_code.cli import pinstore
from safe_remote_code.errors import DigestMismatchError, MissingFileError
from safe_remote_code.lockfile import read_lock


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _lock() -> bytes:
    return Path("remote-code.lock").read_bytes()


def test_it_writes_the_entry_and_says_so() -> None:
    repository(Path("plain"))
    result = run("pin", "plain")
    assert result.exit_code == 0
    (package,) = read_lock(Path("remote-code.lock")).packages
    assert package.source == "local:plain"
    assert package.entry_points == ("modeling_plain.PlainModel",)
    assert f"pinned: local:plain in remote-code.lock, {package.digest}" in result.stdout


def test_it_pins_several_sources_at_once() -> None:
    repository(Path("a"))
    repository(Path("b"))
    assert run("pin", "a", "b").exit_code == 0
    assert [package.source for package in read_lock(Path("remote-code.lock")).packages] == ["local:a", "local:b"]


def test_the_same_content_again_changes_nothing() -> None:
    repository(Path("plain"))
    run("pin", "plain")
    before = _lock()
    result = run("pin", "plain")
    assert (result.exit_code, _lock()) == (0, before)
    assert "unchanged: local:plain" in result.stdout


def test_other_content_is_refused_with_the_remedy() -> None:
    folder = repository(Path("plain"))
    run("pin", "plain")
    before = _lock()
    (folder / "modeling_plain.py").write_text(PLAIN + "x = 1\n")
    result = run("pin", "plain")
    assert (result.exit_code, _lock()) == (1, before)
    assert "changed modeling_plain.py" in result.stderr
    assert "safe-remote-code pin plain --update" in result.stderr


def test_update_shows_the_diff_and_the_capabilities_before_it_writes() -> None:
    folder = repository(Path("plain"))
    run("pin", "plain")
    (folder / "modeling_plain.py").write_text(PLAIN.replace("math.sqrt(x)", "__import__('os').system(x)"))
    (folder / "modeling_plain.py").write_text(
        "import subprocess\n" + PLAIN.replace("math.sqrt(x)", "subprocess.run(x)")
    )
    result = run("pin", "plain", "--update")
    assert result.exit_code == 0
    assert "-        return math.sqrt(x)" in result.stdout
    assert "+        return subprocess.run(x)" in result.stdout
    assert "capabilities: + process" in result.stdout
    assert result.stdout.index("capabilities: + process") < result.stdout.index("pinned: local:plain")
    assert run("verify", "plain").exit_code == 0


def test_update_replaces_and_add_keeps() -> None:
    folder = repository(Path("plain"))
    run("pin", "plain")
    (folder / "modeling_plain.py").write_text(PLAIN + "x = 1\n")
    assert run("pin", "plain", "--add").exit_code == 0
    assert len(read_lock(Path("remote-code.lock")).packages) == 2
    assert run("pin", "plain", "--update").exit_code == 0
    assert len(read_lock(Path("remote-code.lock")).packages) == 1
    assert run("pin", "plain", "--update", "--add").exit_code == 2


def test_a_spoilt_store_costs_only_the_diff() -> None:
    folder = repository(Path("plain"))
    run("pin", "plain")
    for kept in pinstore.store_folder().iterdir():
        kept.write_text("something else")
    (folder / "modeling_plain.py").write_text(PLAIN + "x = 1\n")
    result = run("pin", "plain", "--update")
    assert result.exit_code == 0
    assert "the pinned text is not at hand" in result.stdout
    assert "something else" not in result.stdout
    assert "+x = 1" in result.stdout


def test_it_pins_code_that_the_policy_refuses_and_says_that_it_is_refused() -> None:
    repository(Path("plain"), {"modeling_plain.py": "import os\nos.fork()\n" + PLAIN})
    result = run("pin", "plain")
    assert result.exit_code == 0
    assert "refused modeling_plain.py:2:1" in result.stdout
    assert "a pin says which bytes, not that they may run" in result.stdout


def test_it_names_the_other_repositories_that_need_a_pin() -> None:
    auto_map = {**CONFIG["auto_map"], "AutoConfig": "other/repo--configuration_x.XConfig"}
    repository(Path("plain"), config={"auto_map": auto_map})
    assert "safe-remote-code pin other/repo" in run("pin", "plain").stdout


def test_entry_approves_one_class_more_and_is_kept_by_the_next_update() -> None:
    folder = repository(Path("plain"), {"modeling_plain.py": PLAIN, "extra.py": "class Extra:\n    pass\n"})
    assert run("pin", "plain").exit_code == 0
    result = run("pin", "plain", "--entry", "extra.Extra", "--update")
    assert result.exit_code == 0
    assert "entry points: + extra.Extra" in result.stdout
    (folder / "modeling_plain.py").write_text(PLAIN + "x = 1\n")
    assert run("pin", "plain", "--update").exit_code == 0
    (package,) = read_lock(Path("remote-code.lock")).packages
    assert "extra.Extra" in package.entry_points
    (folder / "extra.py").unlink()
    assert run("pin", "plain", "--update").exit_code == 0
    (package,) = read_lock(Path("remote-code.lock")).packages
    assert package.entry_points == ("modeling_plain.PlainModel",)


def test_an_entry_of_pinned_content_needs_no_update() -> None:
    repository(Path("plain"), {"modeling_plain.py": PLAIN + "\n\ndef build():\n    return PlainModel()\n"})
    run("pin", "plain")
    assert run("pin", "plain", "--entry", "modeling_plain.build").exit_code == 0
    (package,) = read_lock(Path("remote-code.lock")).packages
    assert "modeling_plain.build" in package.entry_points


@pytest.mark.parametrize("entry", ["Extra", "../x.Y", "a.b c", "", "a..B"])
def test_a_malformed_entry_is_wrong_usage(entry: str) -> None:
    repository(Path("plain"))
    assert run("pin", "plain", "--entry", entry).exit_code == 2
    assert not Path("remote-code.lock").exists()


def test_an_entry_that_names_nothing_is_refused() -> None:
    repository(Path("plain"))
    result = run("pin", "plain", "--entry", "modeling_plain.PlainModle")
    assert result.exit_code == 1
    assert "PlainModle" in result.stderr


def test_one_bad_source_does_not_keep_the_others_from_being_pinned() -> None:
    repository(Path("good"))
    repository(Path("bad"), {"modeling_plain.py": b"# -*- coding: utf-7 -*-\n"})
    assert run("pin", "bad", "good").exit_code == 1
    assert [package.source for package in read_lock(Path("remote-code.lock")).packages] == ["local:good"]


def test_a_malformed_lock_is_not_overwritten() -> None:
    repository(Path("plain"))
    Path("remote-code.lock").write_text("format = 1\npackages = 3\n")
    result = run("pin", "plain")
    assert result.exit_code == 2
    assert "remote-code.lock: packages" in result.stderr
    assert Path("remote-code.lock").read_text() == "format = 1\npackages = 3\n"


def test_a_folder_that_cannot_hold_the_lock_is_a_document_error() -> None:
    repository(Path("plain"))
    result = run("pin", "plain", "--lockfile", "nowhere/remote-code.lock")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_a_repository_without_code_is_refused() -> None:
    repository(Path("plain"), {}, config={"model_type": "bert"})
    assert run("pin", "plain").exit_code == 1


def test_a_revision_of_a_directory_is_wrong_usage() -> None:
    repository(Path("plain"))
    assert run("pin", "plain", "--revision", "main").exit_code == 2


def test_a_directory_whose_name_no_lock_can_hold_is_refused() -> None:
    for name in ("two\nlines", "not \udcff utf-8"):
        result = run("pin", repository(Path(name)))
        assert result.exit_code == 1
        assert "a lock cannot hold this name" in result.stderr
    assert not Path("remote-code.lock").exists()


DANGLING = {"auto_map": {**CONFIG["auto_map"], "AutoProcessor": "processing_vis.VisProcessor"}}


def test_an_entry_whose_file_is_missing_is_noted_and_the_rest_is_pinned() -> None:
    repository(Path("plain"), config=DANGLING)
    result = run("pin", "plain")
    (package,) = read_lock(Path("remote-code.lock")).packages
    assert (result.exit_code, package.entry_points) == (0, ("modeling_plain.PlainModel",))
    assert "note    config.json:1:" in result.stdout
    assert "auto_map.AutoProcessor: names processing_vis.VisProcessor, and there is no file processing_vis.py" in result.stdout
    assert run("verify", "plain").exit_code == 0


def test_a_file_that_a_pinned_entry_lacked_is_not_loaded_when_it_comes() -> None:
    folder = repository(Path("plain"), config=DANGLING)
    run("pin", "plain")
    asked = ("processing_vis.VisProcessor", folder)
    with pytest.raises(MissingFileError, match="no file processing_vis.py"):
        get_class_from_dynamic_module(*asked, lockfile="remote-code.lock")
    (folder / "processing_vis.py").write_text("class VisProcessor:\n    pass\n")
    with pytest.raises(DigestMismatchError, match="added processing_vis.py"):
        get_class_from_dynamic_module(*asked, lockfile="remote-code.lock")
    with pytest.raises(DigestMismatchError):  # recording on first use is for sources that are not pinned
        get_class_from_dynamic_module(*asked, lockfile="remote-code.lock", policy="explore")
    assert run("verify", "plain").exit_code == 1
    assert run("pin", "plain").exit_code == 1
    assert run("pin", "plain", "--update").exit_code == 0
    assert get_class_from_dynamic_module(*asked, lockfile="remote-code.lock").__name__ == "VisProcessor"


def test_a_copy_of_pinned_bytes_is_no_entry_that_dangled() -> None:
    folder = repository(Path("plain"), config={"auto_map": {"AutoModel": "modeling_plain.PlainModel", "AutoProcessor": "other.Other"}})
    run("pin", "plain")
    (folder / "other.py").write_text(PLAIN)
    with pytest.raises(DigestMismatchError):
        get_class_from_dynamic_module("other.PlainModel", folder, lockfile="remote-code.lock")


def test_if_every_file_that_json_names_is_missing_nothing_is_pinned_and_the_json_is_named() -> None:
    repository(Path("plain"), {"train.py": "x = 1\n"}, config=DANGLING)
    for command in ("pin", "audit"):
        result = run(command, "plain")
        assert (result.exit_code, Path("remote-code.lock").exists()) == (3, False)
        assert "no file processing_vis.py, which config.json (auto_map.AutoProcessor) names" in result.stderr
