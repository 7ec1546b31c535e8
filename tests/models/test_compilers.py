"""What compiles and traces a model: started by remote code, and by the user; each in a process that has done neither."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("RestrictedPython")
pytest.importorskip("transformers")

from pinned import pin_folder

REMOTE = """
    import torch
    from torch import nn

    def doubled(x):
        return nn.functional.gelu(x) * 2

    class Main(nn.Module):
        def __init__(self, backend=None):
            super().__init__()
            self.inner = nn.Linear(4, 4)
            self.doubled = torch.compile(doubled, backend=backend) if backend else doubled

        def forward(self, x):
            return self.inner(self.doubled(x))
    """
USE = """
    import sys
    from pathlib import Path

    import torch

    from safe_remote_code.pipeline import load_package
    from safe_remote_code.reference import parse

    here = Path.cwd()
    package = load_package(parse("main.Main", here / "repo"), policy="default", lockfile=here / "remote-code.lock")
    Main, x = package.module("main.py").Main, torch.ones(2, 4)
    """


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("aot_eager", "model = Main('aot_eager'); made = model"),
        ("inductor", "model = Main('inductor'); made = model"),
        ("fx", "model = Main(); made = torch.fx.symbolic_trace(model)"),
        ("export", "model = Main(); made = torch.export.export(model, (x,)).module()"),
        ("jit", "model = Main(); made = torch.jit.trace(model, x)"),
    ],
)
def test_compiled_and_traced_models_answer_the_same(tmp_path: Path, name: str, way: str) -> None:
    if name == "inductor" and shutil.which("g++") is None:
        pytest.skip("needs a C++ compiler")
    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / "main.py").write_text(textwrap.dedent(REMOTE), encoding="utf-8")
    pin_folder(repo, tmp_path / "remote-code.lock")
    check = "with torch.no_grad(): torch.testing.assert_close(made(x), model.inner(torch.nn.functional.gelu(x) * 2))"
    script = f"{textwrap.dedent(USE)}\n{way}\n{check}\n"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor")}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
