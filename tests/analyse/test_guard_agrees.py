"""The analysis and the guard speak of the same builtins and refuse the same syntax."""

from __future__ import annotations

import ast
import builtins
from pathlib import Path

import pytest

pytest.importorskip("RestrictedPython")

from safe_remote_code.analyse import analyse  # after the skip
from safe_remote_code.analyse.builtin_names import ALLOWED_BUILTINS, REFUSED_BUILTINS
from safe_remote_code.capability import shipped_capabilities
from safe_remote_code.errors import PolicyError, RefusedError
from safe_remote_code.snapshot import SourceFile, snapshot

builtins_of_guard = pytest.importorskip("safe_remote_code.guard.builtins")
transform = pytest.importorskip("safe_remote_code.guard.transform").transform

FIXTURES = Path(__file__).parents[2] / "fixtures" / "rules"


def test_allowed_builtins_are_those_of_the_guard() -> None:
    replaced = {"open", "type", "getattr", "hasattr", "setattr", "delattr"}
    # `__import__` is there for native code alone; special-name refuses it in any text.
    guarded = {f"builtins.{name}" for name in set(builtins_of_guard.plain_builtins()) - {"__import__"} | replaced}
    here = {name for name in ALLOWED_BUILTINS if hasattr(builtins, name.removeprefix("builtins."))}
    assert guarded == here
    assert not ALLOWED_BUILTINS & set(REFUSED_BUILTINS)
    assert {f"builtins.{name}" for name in builtins_of_guard.BURIED} <= set(REFUSED_BUILTINS)


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*/*.py")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_the_guard_refuses_at_compile_time_the_analysis_refuses(path: Path) -> None:
    """The other way round is not asked: the analysis refuses more."""
    try:
        file = SourceFile(path="model.py", data=path.read_bytes())
        transform(ast.parse(file.text), "model.py", shipped_capabilities().attributes)
    except (SyntaxError, RefusedError) as error:
        if not isinstance(error, PolicyError):
            return
        findings = analyse(snapshot([file])).findings
        assert any(item.enforcement == "refuse" for item in findings), str(error)
