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
from safe_remote_code.errors import GuardViolationError
from safe_remote_code.guard.armour import prepare

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
    done = _run(script, tmp_path)
    assert done.returncode == 0, done.stderr


def _run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor")}
    return subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )  # fmt: skip


#: What remote code may leave for the user's own tools to execute, and what the user then does.
HOSTILE = {
    "name of a buffer": (
        '''
        self.register_buffer('training"), open("canary", "w"), ("b', torch.zeros(4))
        ''',
        'return x + getattr(self, \'training"), open("canary", "w"), ("b\')',
        "torch.fx.symbolic_trace(Main())(x)",
    ),
    "keyword in a traced graph": (
        "pass",
        'return x.view(**{"a = open(\'canary\', \'w\'), b": 1})',
        "torch.fx.symbolic_trace(Main())(x)",
    ),
    "node of a traced value": (
        "pass",
        "x.node.graph.create_node('placeholder', \"extra = open('canary', 'w')\"); return x",
        "torch.fx.symbolic_trace(Main())(x)",
    ),
    "graph of a trace": (
        "pass",
        "torch._C._get_tracing_state().graph().insertConstant('canary'); return x",
        "torch.jit.trace(Main(), x); open('canary', 'w')",
    ),
    "member named in a saved export": (
        "pass",
        "return Pair(x + 1)",
        "torch.export.save(torch.export.export(Main(), (x,)), 'saved.pt2'); torch.export.load('saved.pt2').module()(x)",
    ),
}  # fmt: skip
PAIR = """
    from torch.utils._pytree import register_pytree_node

    class Pair:
        def __init__(self, x):
            self.x = x

    def flatten(pair):
        return [pair.x], {"__enum__": True, "fqn": "sys:modules", "name": "os"}

    def unflatten(values, context):
        if not isinstance(context, dict):
            context.mkdir("canary")
        return Pair(list(values)[0])

    register_pytree_node(Pair, flatten, unflatten, serialized_type_name="Pair")
    """


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_tool_of_the_user_would_execute_is_not(tmp_path: Path, name: str) -> None:
    in_init, in_forward, act = HOSTILE[name]
    repo = tmp_path / "repo"
    repo.mkdir()
    text = (
        f"import torch\n{textwrap.dedent(PAIR)}\n\nclass Main(torch.nn.Module):\n    def __init__(self):\n"
        f"        super().__init__()\n        {in_init.strip()}\n\n    def forward(self, x):\n        {in_forward}\n"
    )
    (repo / "main.py").write_text(text, encoding="utf-8")
    pin_folder(repo, tmp_path / "remote-code.lock")
    done = _run(f"{textwrap.dedent(USE)}\n{act}\n", tmp_path)
    assert done.returncode == 1, done.stderr
    assert not (tmp_path / "canary").exists()
    if name != "graph of a trace":  # which has no such attribute
        assert "GuardViolationError" in done.stderr


def test_an_export_makes_containers_again_and_calls_nothing_else() -> None:
    exporter = pytest.importorskip("transformers.exporters.exporter_dynamo")
    prepare()
    assert exporter._path_to_class("builtins:tuple") is tuple
    assert exporter._path_to_class("transformers.cache_utils:DynamicCache").__name__ == "DynamicCache"
    for path in ("os.system", "subprocess:Popen", "builtins:eval", "torch.package:PackageImporter"):
        with pytest.raises(GuardViolationError):
            exporter._path_to_class(path)
