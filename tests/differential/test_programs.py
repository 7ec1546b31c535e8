"""Programs that are admitted behave under the guard as under plain CPython."""

from __future__ import annotations

from pathlib import Path

import pytest

from differential.both import guarded, lay_down, natively, programs


@pytest.mark.parametrize("program", programs(), ids=lambda path: path.stem)
def test_it_behaves_as_under_plain_python(program: Path, tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    lay_down(program, folder)
    native, ours = natively(folder), guarded(folder)
    assert native[""].result == "returned None"
    assert len(native) > 1
    assert ours == native
