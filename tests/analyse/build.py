"""Small snapshots and policies for the tests of the analysis."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from safe_remote_code import admit
from safe_remote_code.analyse import Analysis, analyse
from safe_remote_code.policy import Grant, Policy, load_policy
from safe_remote_code.snapshot import SourceFile, snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from safe_remote_code.finding import Finding

SOURCE = "org/model"


def of(text: str, **others: str) -> Analysis:
    """The analysis of `model.py` with `text`, beside files named by keyword."""
    files = [SourceFile(path="model.py", data=text.encode())]
    files += [SourceFile(path=f"{name}.py", data=content.encode()) for name, content in others.items()]
    return analyse(snapshot(files))


def names(analysis: Analysis) -> list[tuple[str, str, str]]:
    """Its uses of libraries, without builtins, as (name, when, how)."""
    return [(use.name, use.when, use.how) for use in analysis.uses if not use.name.startswith("builtins.")]


def policy(*granted: str, capabilities: tuple[str, ...] = (), **options: object) -> Policy:
    """A policy that grants these names alone."""
    grant = Grant(names=granted or ("math.*",), capabilities=capabilities, sources=("*",), why="test")
    return Policy(name="test", grants=(grant,), **options)  # type: ignore[arg-type]  # options by name


def judged(text: str, under: Policy) -> list[tuple[str, str, str]]:
    """(rule, name, enforcement) of every finding."""
    return [(item.rule, item.name, item.enforcement) for item in admit.findings(of(text), under, SOURCE)]


def fixture_findings(path: Path) -> tuple[Finding, ...]:
    """All findings about one fixture under the default policy; for the rule that needs it, without the guard."""
    analysis = analyse(snapshot([SourceFile(path="model.py", data=path.read_bytes())]))
    chosen = load_policy("default")
    if path.parent.name == "unowned-write":
        chosen = replace(chosen, unsafe_disable=frozenset({"guard"}))
    return admit.findings(analysis, chosen, SOURCE)
