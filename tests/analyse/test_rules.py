"""Each rule is documented, fires on each of its bad fixtures where they say, and on no good fixture."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

from safe_remote_code.analyse.context import SECTIONS, Rule
from safe_remote_code.analyse.rules import RULES

from .build import fixture_findings

FIXTURES = Path(__file__).parents[2] / "fixtures" / "rules"
EXPECT = re.compile(
    r"^# expect: (?P<rule>[a-z-]+) (?P<line>\d+):(?P<column>\d+)(?: (?P<enforcement>\w+))?$", re.MULTILINE
)


def _fixtures(kind: str) -> list[Path]:
    return sorted(FIXTURES.glob(f"*/{kind}_*.py"))


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def test_ids_are_unique_and_equal_the_file_names() -> None:
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    folder = Path(inspect.getfile(importlib.import_module("safe_remote_code.analyse.rules"))).parent
    files = {path.stem.replace("_", "-") for path in folder.glob("*.py") if path.stem != "__init__"}
    assert set(ids) == files


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_documentation_has_its_sections(rule: Rule) -> None:
    module = importlib.import_module(f"safe_remote_code.analyse.rules.{rule.id.replace('-', '_')}")
    assert rule.documentation == module.__doc__
    assert all(rule.sections[name] for name in SECTIONS)
    assert rule.summary.endswith(".")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_each_rule_has_a_bad_and_a_good_fixture(rule: Rule) -> None:
    assert list((FIXTURES / rule.id).glob("bad_*.py"))
    assert list((FIXTURES / rule.id).glob("good_*.py"))


def test_each_fixture_belongs_to_a_rule() -> None:
    assert {path.parent.name for path in FIXTURES.glob("*/*")} == {rule.id for rule in RULES}


@pytest.mark.parametrize("path", _fixtures("bad"), ids=_name)
def test_bad_fixture_fires_where_it_says(path: Path) -> None:
    rule = path.parent.name
    expected = {
        (m["rule"], int(m["line"]), int(m["column"]), m["enforcement"]) for m in EXPECT.finditer(path.read_text())
    }
    found = {(f.rule, f.line, f.column, f.enforcement) for f in fixture_findings(path) if f.rule == rule}
    assert expected
    assert found == expected


@pytest.mark.parametrize("path", _fixtures("good"), ids=_name)
def test_good_fixture_fires_nothing_but_notes(path: Path) -> None:
    assert [str(item) for item in fixture_findings(path) if item.enforcement != "note"] == []


def test_a_rule_without_documentation_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks Example, Instead"):
        Rule(id="x", documentation="X.\n\nWhat\n    x\nWhy it matters\n    x\n")
