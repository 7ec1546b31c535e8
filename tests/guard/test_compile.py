"""What parses need not compile; the error is a refusal of ours, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("RestrictedPython")

from pinned import pin_folder
from safe_remote_code.errors import RefusedError
from safe_remote_code.pipeline import load_package
from safe_remote_code.reference import parse


@pytest.mark.parametrize(
    "text",
    [
        "break", "return 1", "nonlocal x", "def f():\n    x = 1\n    global x", "def f(a, a): pass", "*a, *b = c",
        "yield 1", "def f():\n    nonlocal q", "".join(" " * i + "for x in y:\n" for i in range(30)) + " " * 30 + "pass",
        "from __future__ import annotations", "def f():\n    from __future__ import annotations",
        "continue", "class A:\n    return 1", "x: int = (yield)", "def f(x):\n    global x", "f(a=1, a=2)",
    ],
)  # fmt: skip
def test_what_does_not_compile_is_refused(text: str, tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / "main.py").write_text(f"class Main:\n    pass\n\n\n{text}\n", encoding="utf-8")
    pin_folder(repo, tmp_path / "remote-code.lock")
    with pytest.raises(RefusedError):
        load_package(parse("main.Main", repo), lockfile=tmp_path / "remote-code.lock").module("main.py")
