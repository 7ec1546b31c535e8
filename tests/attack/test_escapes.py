"""Hostile repositories, whole: no canary is hit, and what stops each is an error of ours with its code.

A part of `fixtures/escapes/` that ends soon; `make attack` runs all, natively and wall by wall.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("RestrictedPython")

from pinned import pin_folder
from safe_remote_code.errors import RemoteCodeError
from safe_remote_code.policy import load_policy

from . import fixture as fixtures
from . import harness
from .known import KNOWN, ORDINARY, UNLISTED

ROOT = harness.ROOT
BODY = ROOT / "fixtures" / "escapes"
PER_CLASS = 3
#: What each wall says when it stops something.
CODES = {
    "identity": {"not-pinned", "digest-mismatch", "refused"},
    "analysis": {"policy", "refused"},
    "guard": {"guard-violation", "policy", "refused"},
    "monitor": {"guard-violation"},
}


def _names() -> list[str]:
    """The first fixture that each known escape names, and the first three of each class."""
    chosen = {next(name for name in names if (BODY / f"{name}.py").exists())
              for names in KNOWN.values() if any((BODY / f"{name}.py").exists() for name in names)}  # fmt: skip
    seen: dict[str, int] = {}
    for path in sorted(BODY.glob("*.py")):
        family = fixtures.read(path).family
        seen[family] = seen.get(family, 0) + (path.stem not in chosen)
        if seen[family] <= PER_CLASS:
            chosen.add(path.stem)
    return sorted(chosen)


@pytest.fixture(scope="module")
def host() -> Iterator[harness.Zygote]:
    with harness.zygote("guarded") as started, pytest.MonkeyPatch.context() as patch:
        patch.setattr(harness._Folder, "pin", _pin)
        yield started


def _pin(folder: harness._Folder) -> str | None:
    """What the command would do, without a process of its own for each."""
    try:
        pin_folder(folder.repo, folder.lock)
    except RemoteCodeError as error:
        return str(error)
    return None


@pytest.mark.torch
def test_a_harmless_model_passes_every_stage(host: harness.Zygote) -> None:
    """Else a run that stops everything would prove nothing."""
    outcome = harness.run(host, fixtures.read(Path(__file__).parent / "control" / "benign.py"))
    assert (outcome.canary_hit, outcome.error_type, outcome.reached[-1]) == (False, None, "getattr")


@pytest.mark.torch
@pytest.mark.parametrize("name", _names())
def test_it_is_stopped_for_our_reason(name: str, host: harness.Zygote) -> None:
    item = fixtures.read(BODY / f"{name}.py")
    if not fixtures.exists_here(item):
        pytest.skip("this transformers does not have what it attacks")
    outcome = harness.run(host, item)
    assert not outcome.canary_hit, outcome
    if name in ORDINARY:
        assert outcome.error_type == ORDINARY[name][0], outcome
        return
    assert outcome.ours or outcome.refusals, outcome
    if outcome.error_code is not None:
        assert outcome.error_code in set().union(*(CODES[wall] for wall in item.walls)), outcome


@pytest.mark.parametrize("known", KNOWN)
def test_each_known_escape_has_a_test(known: str) -> None:
    assert KNOWN[known]
    missing = [name for name in KNOWN[known] if not _exists(name)]
    assert missing == []


def _exists(name: str) -> bool:
    if name.startswith("rule:"):
        return any((ROOT / "fixtures" / "rules" / name.removeprefix("rule:")).glob("bad_*.py"))
    if "::" not in name:
        return (BODY / f"{name}.py").exists()
    path, _, function = name.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8")) if (ROOT / path).exists() else ast.parse("")
    return any(isinstance(node, ast.FunctionDef) and node.name == function for node in ast.walk(tree))


@pytest.mark.parametrize("name", UNLISTED)
def test_what_no_policy_lists_is_not_granted(name: str) -> None:
    for policy in ("default", "strict", "explore"):
        assert not load_policy(policy).granted("hub:org/model").allows(name)
