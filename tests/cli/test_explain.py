"""`explain` prints the documentation of every rule that can fire."""

from __future__ import annotations

import pytest

from cli.commands import run
from safe_remote_code.report.rules import rule_texts

RULES = sorted(rule_texts())


def test_it_lists_every_rule_with_its_first_sentence() -> None:
    result = run("explain")
    assert result.exit_code == 0
    listed = [line.split("  ")[0].strip() for line in result.stdout.splitlines()]
    assert listed == RULES
    assert {"config-names-code", "source-not-allowed", "unreadable", "ungranted-name"} <= set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_has_the_four_sections(rule: str) -> None:
    result = run("explain", rule)
    assert result.exit_code == 0
    assert {"What", "Why it matters", "Example", "Instead"} <= set(result.stdout.splitlines())


def test_an_unknown_rule_is_wrong_usage() -> None:
    result = run("explain", "no-such\x1b[1mrule")
    assert result.exit_code == 2
    assert "safe-remote-code explain" in result.stderr
    assert "\x1b" not in result.stderr
