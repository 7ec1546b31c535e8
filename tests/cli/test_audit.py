"""`audit` in its three formats, and what its exit code means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from cli.commands import PLAIN, repository, run
from cli.sarif_shape import SARIF_SHAPE

HOSTILE = {"modeling_plain.py": "import os\nos.fork()\n" + PLAIN}
GUARDED = {"modeling_plain.py": "import requests\n" + PLAIN}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_plain_code_is_clean() -> None:
    repository(Path("plain"))
    result = run("audit", "plain")
    assert result.exit_code == 0
    assert "clean under policy default: 0 refused, 0 left to the guard, 0 notes" in result.stdout


def test_hostile_code_is_reported_with_rule_place_and_remedy() -> None:
    repository(Path("plain"), HOSTILE)
    result = run("audit", "plain")
    assert result.exit_code == 1
    assert "  refused modeling_plain.py:2:1  ungranted-name: os.fork is not granted" in result.stdout
    assert "          -> " in result.stdout


def test_what_the_guard_holds_is_shown_and_clean() -> None:
    repository(Path("plain"), GUARDED)
    result = run("audit", "plain")
    assert result.exit_code == 0
    assert "  guarded modeling_plain.py:1:8  ungranted-import: requests" in result.stdout


def test_under_a_policy_that_defers_nothing_it_refuses() -> None:
    repository(Path("plain"), GUARDED)
    result = run("audit", "plain", "--policy", "strict")
    assert result.exit_code == 1
    assert "  refused modeling_plain.py:1:8" in result.stdout


def test_without_a_guard_nothing_is_left_to_it() -> None:
    repository(Path("plain"), GUARDED)
    Path("p.toml").write_text('format = 1\nextends = ["default"]\n[walls]\nunsafe_disable = ["guard"]\n')
    assert run("audit", "plain", "--policy", "p.toml").exit_code == 1


def test_notes_alone_are_clean() -> None:
    repository(Path("plain"), config={"auto_map": {"AutoModel": "modeling_plain.PlainModel"}, "audio_tokenizer": "x/y"})
    result = run("audit", "plain")
    assert result.exit_code == 0
    assert "  note    config.json:1:" in result.stdout


def test_a_source_that_the_policy_denies_is_refused() -> None:
    repository(Path("plain"))
    Path("p.toml").write_text('format = 1\nextends = ["default"]\n[sources]\ndeny = ["local:*"]\n')
    result = run("audit", "plain", "--policy", "p.toml")
    assert result.exit_code == 1
    assert "source-not-allowed" in result.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"# -*- coding: utf-7 -*-\n# +AAo-import os\n", "source encoding 'utf-7'"),
        (b"x = '\xff'\n", "not UTF-8"),
        (b"x = (\n", "could not be analysed"),
        (b"x = 1\0\n", "NUL"),
    ],
)
def test_what_cannot_be_read_is_a_finding_and_never_clean(content: bytes, words: str) -> None:
    repository(Path("plain"), {"modeling_plain.py": content})
    result = run("audit", "plain")
    assert result.exit_code == 1
    assert "unreadable" in result.stdout
    assert words in result.stdout


def test_a_directory_that_is_no_repository_is_never_clean() -> None:
    Path("empty").mkdir()
    assert run("audit", "empty").exit_code == 1


def test_a_repository_without_code_is_clean_and_says_so() -> None:
    repository(Path("plain"), {}, config={"model_type": "bert"})
    result = run("audit", "plain")
    assert result.exit_code == 0
    assert "no Python code was read" in result.stdout


def test_what_needs_no_refused_file_is_said_to_load() -> None:
    auto_map = {"AutoModel": "modeling_plain.PlainModel", "AutoConfig": "configuration_plain.PlainConfig"}
    files = {**HOSTILE, "configuration_plain.py": "class PlainConfig:\n    pass\n"}
    result = run("audit", repository(Path("plain"), files, config={"auto_map": auto_map}))
    assert result.exit_code == 1
    assert "what needs none of it still loads: configuration_plain.py" in result.stdout


def test_files_that_are_not_loaded_are_named_as_not_examined() -> None:
    repository(Path("plain"), {"modeling_plain.py": PLAIN, "train.py": "import os\nos.fork()\n"})
    result = run("audit", "plain")
    assert result.exit_code == 0
    assert "not examined: train.py" in result.stdout


def test_an_entry_without_its_file_is_noted_at_its_place() -> None:
    folder = repository(Path("plain"))
    (folder / "preprocessor_config.json").write_text(
        '{\n  "auto_map": {\n    "AutoProcessor": "processing_vis.VisProcessor"\n  }\n}\n'
    )
    result = run("audit", "plain", "--format", "json")
    (note,) = json.loads(result.stdout)["sources"][0]["findings"]
    assert (result.exit_code, note["standing"], note["rule"]) == (0, "note", "config-names-code")
    assert (note["path"], note["line"], note["column"]) == ("preprocessor_config.json", 3, 22)
    assert note["message"].startswith("auto_map.AutoProcessor: names processing_vis.VisProcessor")


def test_json_is_versioned_and_complete() -> None:
    repository(Path("plain"), HOSTILE)
    result = run("audit", "plain", "--format", "json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["format"] == 1
    (source,) = document["sources"]
    assert source["verdict"] == "refused"
    assert source["capabilities"] == ["process"]
    assert {item["rule"] for item in source["findings"] if item["standing"] == "refused"} == {"ungranted-name"}
    assert all(set(item) >= {"path", "line", "column", "message", "remedy"} for item in source["findings"])


def test_sarif_has_the_shape_of_the_standard_and_the_rules_documentation() -> None:
    repository(Path("plain"), HOSTILE)
    result = run("audit", "plain", "--format", "sarif", "--output", "report.sarif")
    assert result.exit_code == 1
    document = json.loads(Path("report.sarif").read_text())
    assert list(Draft202012Validator(SARIF_SHAPE).iter_errors(document)) == []
    (report,) = document["runs"]
    rules = report["tool"]["driver"]["rules"]
    for item in report["results"]:
        assert rules[item["ruleIndex"]]["id"] == item["ruleId"]
        assert "Why it matters" in rules[item["ruleIndex"]]["help"]["text"]
    (refused,) = [item for item in report["results"] if item["level"] == "error"]
    place = refused["locations"][0]["physicalLocation"]
    assert place == {
        "artifactLocation": {"uri": "plain/modeling_plain.py"},
        "region": {"startLine": 2, "startColumn": 1},
    }


@pytest.mark.parametrize("form", ["text", "json", "sarif"])
def test_several_sources_make_one_report(form: str) -> None:
    repository(Path("a"))
    repository(Path("b"), HOSTILE)
    result = run("audit", "a", "b", "--format", form)
    assert result.exit_code == 1
    assert "local:b" in result.stdout


def test_a_source_that_fails_does_not_hide_the_others() -> None:
    repository(Path("a"))
    result = run("audit", "./absent", "a", "--format", "json")
    assert result.exit_code == 1
    assert [source["source"] for source in json.loads(result.stdout)["sources"]] == ["local:a"]


def test_a_file_that_is_not_there_is_a_failed_fetch() -> None:
    repository(Path("plain"), {}, config={"auto_map": {"AutoModel": "modeling_gone.Gone"}})
    assert run("audit", "plain").exit_code == 3


@pytest.mark.parametrize("form", ["text", "json", "sarif"])
def test_hostile_text_is_visible_in_every_format(form: str) -> None:
    escape, override = "\x1b[2J\x1b]0;owned\x07", "\u202e"
    repository(
        Path(f"pl{override}ain"),
        {"modeling_plain.py": f"import os\nos.fork()\nx = eval('{override}')\n" + PLAIN},
        config={"auto_map": {"AutoModel": "modeling_plain.PlainModel", "AutoConfig": f"{escape}[bold]x"},
                "attn_implementation": f"[red]a/b{override}{escape}"},
    )  # fmt: skip
    result = run("audit", f"pl{override}ain", "--format", form)
    assert result.exit_code == 1
    assert not [char for char in result.output if char not in "\n" and not char.isprintable()]
    assert "\\u202e" in result.stdout
