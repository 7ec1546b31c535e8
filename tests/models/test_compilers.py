"""What compiles and traces a model: started by remote code, and by the user; each in a process that has done neither."""

from __future__ import annotations

import os
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
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
                   "PYTHONPATH": os.environ.get("PYTHONPATH", "")}  # fmt: skip
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


#: What the user may say to the compiler about a model of remote code.
ALLOWED = (
    "torch.compile(model, options={'trace.graph_diagram': False}, fullgraph=True)",
    "model.compile(options={'trace.graph_diagram': False}) or model",
    "torch.compile(options={'shape_padding': True}, name='a name')(main.Main())",
    "torch.compile(main.Main(), mode='max-autotune-no-cudagraphs')",
    "torch.compile(main.Main(), backend=lambda graph, inputs: graph.forward)",
    "torch.compile(main.Main(), options={'post_grad_custom_pre_pass': rename, 'guard_filter_fn': keep})",
    "torch.compile(lambda x: torch.compile(main.own)(x), backend='eager', fullgraph=True)",
    "library('mode', 'max-autotune-no-cudagraphs')",
)
#: What may not be said, and what the error says.
REFUSED = {
    "torch.compile(model, options={'post_grad_custom_pre_pass': main.own})": "of remote code",
    "torch.compile(model, options={'post_grad_custom_pre_pass': functools.partial(main.own)})": "of remote code",
    "torch.compile(model, options={'guard_filter_fn': main.own})": "of remote code",
    "torch.compile(model, backend=main.own)": "of remote code",
    "model.compile(options={'guard_filter_fn': model.forward})": "of remote code",
    "library('options', {'trace.enabled': True})": "options",
    "library('options', {'epilogue_fusion': 'text'})": "options",
    "library('options', {'guard_filter_fn': keep})": "settings",
    "library('options', {'use_aoti': True})": "settings",
    "library('name', 'a name')": "settings",
    "library('backend', keep)": "backend",
    "set_for_all(main.own)": "as a pass over a graph",
}
SETTING = """
    import functools
    import torch._inductor.config
    from safe_remote_code.errors import GuardViolationError

    class Origin:
        name = "x]\\n        open('canary', 'w')\\n        #"

    def rename(graph):
        for node in graph.nodes:
            if node.op == "call_function":
                node.meta["from_node"] = [Origin]

    def keep(guards):
        return [True] * len(guards)

    def library(key, value):
        namespace = {"__name__": "transformers.models.any.generation_any", "torch": torch, "settings": {key: value}}
        exec("def compiled(model): return torch.compile(model.__call__, **settings)", namespace)
        return namespace["compiled"](model)

    def set_for_all(function):
        with torch._inductor.config.patch(post_grad_custom_pre_pass=function):
            torch.compile(model)(x)

    main = package.module("main.py")
    model, x = main.Main(), torch.ones(16, 16)
    """
OWN = """
    import torch

    def own(x):
        return torch.mm(x, x) * 2

    class Main(torch.nn.Module):
        def forward(self, x):
            return torch.mm(x, x) * 2
    """


def _settings(folder: Path, script: str) -> str:
    repo = folder / "repo"
    repo.mkdir()
    (repo / "main.py").write_text(textwrap.dedent(OWN), encoding="utf-8")
    pin_folder(repo, folder / "remote-code.lock")
    done = _run(textwrap.dedent(USE) + textwrap.dedent(SETTING) + textwrap.dedent(script), folder)
    assert not (folder / "canary").exists()
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_the_user_compiles_with_any_settings(tmp_path: Path) -> None:
    """Also with a pass that writes texts of more than one line into what stands in comments of generated code."""
    said = "".join(f"torch._dynamo.reset()\nprint(float(({way})(x).sum()))\n" for way in ALLOWED)
    assert _settings(tmp_path, said).split() == ["8192.0"] * len(ALLOWED)


def test_remote_code_has_no_say_in_what_compiles_it(tmp_path: Path) -> None:
    said = "".join(f"try:\n    print({way})\nexcept Exception as error:\n    print(type(error).__name__, str(error)[:300].replace(chr(10), ' '))\n" for way in REFUSED)
    for line, why in zip(_settings(tmp_path, said).splitlines(), REFUSED.values(), strict=True):
        assert "GuardViolation" in line
        assert why in line


def test_an_export_makes_containers_again_and_calls_nothing_else() -> None:
    exporter = pytest.importorskip("transformers.exporters.exporter_dynamo")
    prepare()
    assert exporter._path_to_class("builtins:tuple") is tuple
    assert exporter._path_to_class("transformers.cache_utils:DynamicCache").__name__ == "DynamicCache"
    for path in ("os.system", "subprocess:Popen", "builtins:eval", "torch.package:PackageImporter"):
        with pytest.raises(GuardViolationError):
            exporter._path_to_class(path)
