"""`policy check`, `policy show` and `policy suggest`."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.commands import PLAIN, ROOT, repository, run

REFUSED = {"modeling_plain.py": "import subprocess\nsubprocess.run(['id'])\n" + PLAIN}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["default", "strict", "explore"])
def test_shipped_policies_are_valid_and_shown(name: str) -> None:
    assert run("policy", "check", ROOT / "policies" / f"{name}.toml").exit_code == 0
    shown = run("policy", "show", name)
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"policy {name}\n")
    assert shown.stdout.count("  wall ") == 4
    assert "grant: arithmetic on numbers" in shown.stdout


def test_check_names_the_place_of_a_mistake() -> None:
    Path("p.toml").write_text('format = 1\nextends = ["default"]\n[[grant]]\nnames = ["x.y"]\n')
    result = run("policy", "check", "p.toml")
    assert result.exit_code == 2
    assert "p.toml: grant[0].why" in result.stderr


def test_check_warns_of_a_wall_that_is_off() -> None:
    Path("p.toml").write_text('format = 1\nextends = ["default"]\n[walls]\nunsafe_disable = ["monitor"]\n')
    result = run("policy", "check", "p.toml")
    assert result.exit_code == 0
    assert "warning: the monitor wall is switched off" in result.stderr
    assert "wall monitor  OFF" in run("policy", "show", "p.toml").stdout


def test_check_of_no_file_is_a_document_error() -> None:
    assert run("policy", "check", "absent.toml").exit_code == 2
    assert run("policy", "check", "absent").exit_code == 2


def test_suggest_says_when_nothing_is_needed() -> None:
    repository(Path("plain"))
    result = run("policy", "suggest", "plain")
    assert result.exit_code == 0
    assert result.stdout == "no grant is needed: local:plain, policy default\n"


def test_suggest_prints_a_policy_that_admits_the_code() -> None:
    repository(Path("plain"), REFUSED)
    assert run("audit", "plain").exit_code == 1
    result = run("policy", "suggest", "plain")
    assert result.exit_code == 0
    assert 'names = ["subprocess.run"]\ncapabilities = ["process"]' in result.stdout
    Path("p.toml").write_text(result.stdout)
    assert run("policy", "check", "p.toml").exit_code == 0
    assert run("audit", "plain", "--policy", "p.toml").exit_code == 0


def test_the_grant_is_to_that_source_alone() -> None:
    repository(Path("plain"), REFUSED)
    repository(Path("other"), REFUSED)
    Path("p.toml").write_text(run("policy", "suggest", "plain").stdout)
    assert run("audit", "other", "--policy", "p.toml").exit_code == 1


def test_suggest_grants_no_more_than_is_needed() -> None:
    repository(
        Path("plain"), {"modeling_plain.py": "import subprocess\nimport requests\nsubprocess.run(['id'])\n" + PLAIN}
    )
    result = run("policy", "suggest", "plain")
    assert "requests" not in result.stdout
    assert "requests" in result.stderr
    assert "requests" in run("policy", "suggest", "plain", "--tombstones").stdout


def test_suggest_extends_a_policy_file_from_wherever_it_is_written() -> None:
    repository(Path("plain"), REFUSED)
    Path("mine.toml").write_text('format = 1\nextends = ["default"]\n')
    Path("deep").mkdir()
    Path("deep/p.toml").write_text(run("policy", "suggest", "plain", "--policy", "mine.toml").stdout)
    assert run("audit", "plain", "--policy", "deep/p.toml").exit_code == 0


def test_suggest_names_what_no_grant_lifts() -> None:
    repository(Path("plain"), {"modeling_plain.py": "x = eval('1')\n" + PLAIN})
    result = run("policy", "suggest", "plain")
    assert result.exit_code == 1
    assert result.stdout.startswith("no grant would help")
    assert "eval" in result.stderr


def test_a_hostile_folder_name_stays_valid_toml_and_matches_only_itself() -> None:
    name = 'pl"[a]\u202e\n*😀'
    repository(Path(name), REFUSED)
    result = run("policy", "suggest", name)
    Path("p.toml").write_text(result.stdout)
    assert run("policy", "check", "p.toml").exit_code == 0
    assert run("audit", name, "--policy", "p.toml").exit_code == 0
