"""The structure that a reviewer may rely on, judged from the syntax trees of the real files.

1. Imports go strictly downward through the layers below; no two modules need each other.
2. `exec` and `compile` have one home each; `eval`, pickle, marshal and ctypes have none.
3. Only `integrations/` imports transformers; what looks at unverified code cannot reach what runs it.
4. Nothing that matters hangs on `assert`, which `python -O` drops (vLLM, CVE-2026-41523).
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "safe_remote_code"

#: From the bottom; a unit is a module or a folder directly in the package. Each may import from rows above it only.
LAYERS = (
    ("words", ("limits", "finding", "shipped", "grammar", "flags", "collector")),
    ("errors", ("errors", "events")),
    ("values", ("reference", "documents", "patterns", "syntax", "refusal_log", "atomic", "removal", "places")),
    ("values of these", ("snapshot", "capability", "relative_imports")),
    ("signatures", ("signing",)),
    ("documents", ("policy", "lockfile")),
    ("reviews by people", ("audits",)),
    ("stages that look", ("fetch", "verify", "analyse")),
    ("stages that judge", ("admit", "pinning", "config_audit")),
    ("guard", ("guard",)),
    ("the kernel wall", ("sandbox",)),
    ("effects", ("execute", "monitor")),
    ("the product", ("pipeline", "launch")),
    ("a process for it", ("worker",)),
    ("faces", ("integrations", "report")),
    ("command line", ("cli", "startup")),
    ("entrance", ("__main__", "__init__")),
)
#: Imports inside functions that close a circle, and why they are there.
CIRCLES = {
}
#: Modules of over 300 lines, and why they are not cut.
LONG = {
    "guard.transform": "one visitor class, a method for each form of syntax; the reviewer reads it as one table",
}
_MAX_LINES = 300


@dataclass(frozen=True)
class Import:
    """`importer` needs `module` (a dotted name below the package, or of a library)."""

    importer: str
    module: str
    ours: bool
    typing_only: bool
    deferred: bool


@cache
def files() -> dict[str, Path]:
    """Dotted name below the package (`""` for its `__init__`) to file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(files()[name].read_text(encoding="utf-8"))


@cache
def imports() -> tuple[Import, ...]:
    return tuple(item for name in files() for item in _imports(name, tree(name), typing_only=False, deferred=False))


def _imports(name: str, node: ast.AST, *, typing_only: bool, deferred: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        checking = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and child in node.body
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        flags = {"typing_only": typing_only or checking, "deferred": deferred or inside}
        for module, ours in _named(name, child):
            yield Import(importer=name, module=module, ours=ours, **flags)
        yield from _imports(name, child, **flags)


def _named(name: str, node: ast.AST) -> Iterator[tuple[str, bool]]:
    if isinstance(node, ast.Import):
        yield from ((alias.name, False) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        yield node.module or "", False
    elif isinstance(node, ast.ImportFrom):
        base = name.split(".") if files()[name].name == "__init__.py" and name else name.split(".")[:-1]
        base = base[: len(base) - (node.level - 1)] if node.level > 1 else base
        module = ".".join([*base, *([node.module] if node.module else [])])
        for alias in node.names:
            whole = f"{module}.{alias.name}".lstrip(".")
            if alias.name != "__version__":
                yield (whole if whole in files() else module), True


def unit(name: str) -> str:
    return name.partition(".")[0] or "__init__"


def test_every_unit_has_its_layer() -> None:
    assert {unit(name) for name in files()} == {item for _, row in LAYERS for item in row}


def test_imports_go_strictly_downward() -> None:
    rank = {item: level for level, (_, row) in enumerate(LAYERS) for item in row}
    upward = {
        f"{item.importer} imports {item.module}"
        for item in imports()
        if item.ours and unit(item.importer) != unit(item.module) and rank[unit(item.importer)] <= rank[unit(item.module)]
    }
    assert upward == set()


def test_no_two_modules_need_each_other() -> None:
    edges: dict[str, set[str]] = {name: set() for name in files()}
    for item in imports():
        if item.ours and not item.typing_only and (item.importer, item.module) not in CIRCLES:
            edges[item.importer].add(item.module)
    assert _circle(edges) == []


def test_each_listed_circle_is_one() -> None:
    closing = {(item.importer, item.module) for item in imports() if item.deferred and not item.typing_only}
    assert set(CIRCLES) <= closing, set(CIRCLES) - closing


def _circle(edges: dict[str, set[str]]) -> list[str]:
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for below in sorted(edges[name] - {name}):
            if circle := walk(below, [*path, name]):
                return circle
        done.add(name)
        return []

    return next((circle for name in edges if (circle := walk(name, []))), [])


def _calls(name: str) -> Iterator[str]:
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "builtins":
            yield node.func.attr


def test_exec_and_compile_have_one_home_each() -> None:
    homes = [(name, call) for name in files() for call in _calls(name) if call in ("exec", "compile", "eval", "__import__")]
    assert sorted(homes) == [("execute.in_process", "exec"), ("guard.package", "compile")]


def test_they_are_not_handed_on_as_values() -> None:
    called = {id(node.func) for name in files() for node in ast.walk(tree(name)) if isinstance(node, ast.Call)}
    held = {
        f"{name}:{node.lineno} {node.id}"
        for name in files()
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Name) and node.id in ("exec", "compile", "eval") and id(node) not in called
    }
    local = {item for item in held if item.endswith(" compile") and item.startswith("guard.mediated.")}  # torch.compile's
    assert held - local == set()


#: Who calls native code or starts a process, and why.
_NATIVE = {
    ("sandbox.kernel", "ctypes"): "the system calls of Landlock and seccomp, which Python has no function for",
    ("worker.process", "subprocess"): "starts the worker: this interpreter, our own module, an environment made there",
}


def test_nothing_unpickles_or_calls_native_code() -> None:
    banned = {"pickle", "marshal", "dill", "cloudpickle", "shelve", "ctypes", "runpy", "code", "codeop", "subprocess"}
    found = {(item.importer, item.module) for item in imports() if not item.ours and item.module.partition(".")[0] in banned}
    assert found == set(_NATIVE)


#: Modules whose names are given to `importlib.import_module` elsewhere than in integrations/, and why.
_BY_NAME = {
    "guard.builtins": "an import of C code in a guarded frame; hands out nothing",
    "guard.facade": "the module behind a facade that the policy grants",
    "guard.mediated.libraries": "the real function behind a replacement, when remote code first asks for it",
    "guard.mediated.makers": "the real maker behind a replacement, when remote code first asks for it",
    "guard.mediated.registries": "the registry behind a replacement, when remote code first asks for it",
    "guard.mediated.decorators": "the real decorator behind a replacement, when remote code first asks for it",
    "guard.armour.native": "what reads pictures, beside PIL.Image, before the first picture is opened",
    "execute.in_process": "modules of its own finder",
    "integrations.worker.values": "the modules of transformers that define outputs",
    "integrations.transformers_patch": "the modules of transformers that hold a binding",
    "guard.mediated.system": "transformers' own answer, of which it keeps the kind",
    "launch.probe": "transformers' loader, in the child of the self-check, to see whose it is",
    "": "its own public names, lazily",
}


def test_only_the_integrations_import_transformers() -> None:
    heavy = {"transformers", "torch", "numpy", "accelerate", "tokenizers", "safetensors"}
    importers = {(item.importer, item.module) for item in imports() if not item.ours and item.module.partition(".")[0] in heavy}
    assert {name for name, module in importers if module.startswith("transformers")} == {
        name for name, module in importers if module.startswith("transformers") and name.startswith("integrations.")
    }
    outside = {item for item in imports() if item.module.partition(".")[0] in heavy and unit(item.importer) != "integrations"}
    assert {item for item in outside if not item.deferred} == set(), "a library is imported inside a function, if at all"


def test_modules_imported_by_name_are_few_and_each_has_its_reason() -> None:
    by_name = {
        name
        for name in files()
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "importlib.import_module"
    }
    assert by_name <= set(_BY_NAME), by_name - set(_BY_NAME)


@pytest.mark.parametrize("start", ["cli.audit", "cli.pin", "cli.verify", "cli.policy", "cli.audits", "cli.check", "cli.review", "report", "pinning", "audits"])
def test_what_looks_at_unverified_code_cannot_reach_what_runs_it(start: str) -> None:
    """The same at run time: tests/cli/test_reach.py."""
    reached, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [item.module for item in imports() if item.importer == name and item.ours and not item.typing_only]
            parents = name.split(".")[:-1]
            waiting += [".".join(parents[: count + 1]) for count in range(len(parents))]
    assert {name for name in reached if unit(name) in ("guard", "execute", "monitor", "pipeline", "integrations")} == set()


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import json, sys, safe_remote_code; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert loaded & {"torch", "transformers", "RestrictedPython", "numpy", "huggingface_hub", "click", "rich"} == set()


def test_no_assert_in_the_package() -> None:
    asserts = [f"{name}:{node.lineno}" for name in files() for node in ast.walk(tree(name)) if isinstance(node, ast.Assert)]
    assert asserts == []


def test_the_library_neither_prints_nor_exits_nor_reads_the_environment() -> None:
    homes = {
        (unit(name), ast.unparse(node))
        for name in files()
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Attribute | ast.Name)
        and ast.unparse(node) in ("print", "sys.exit", "os._exit", "exit", "os.environ", "os.getenv")
    }
    # integrations hand a worker the variables that its device needs, by name.
    # execute finds its cache folder, monitor the temporary one; guard shows remote code the variables of its own list;
    # the abort option ends the process; verify finds the folder where it remembers which versions were approved.
    # startup is told by it what to install, the child of the self-check looks at its own; a child that could not
    # confine itself ends.
    allowed = {(unit, "os.environ") for unit in ("execute", "monitor", "guard", "verify", "startup", "launch", "integrations")}
    allowed |= {("refusal_log", "os._exit"), ("launch", "os._exit"), ("__main__", "sys.exit")}
    assert {item for item in homes if item[0] != "cli"} <= allowed, homes - allowed


def test_modules_are_short() -> None:
    long = {name for name, path in files().items() if len(path.read_text(encoding="utf-8").splitlines()) > _MAX_LINES}
    assert long == set(LONG)


def test_the_public_api_is_small_and_complete() -> None:
    import safe_remote_code

    assert len(safe_remote_code.__all__) <= 12
    assert sorted(safe_remote_code._HOMES) == sorted(safe_remote_code.__all__)
    modules = {name.partition(".")[0] for name in files()}
    assert modules & set(safe_remote_code.__all__) == set(), "importing the module would hide the object"


def test_no_value_holds_a_syntax_tree() -> None:
    """A node that was checked can be changed before it is used (GHSA-vp47-9734-prjw); text cannot."""
    fields = {
        f"{name}.{node.name}.{item.target.id}: {ast.unparse(item.annotation)}"
        for name in files()
        for node in ast.walk(tree(name))
        if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }
    assert fields, "no value was found"
    held = {item for item in fields if re.search(r"\bast\.(?!AST\])", item.partition(": ")[2])}
    assert held == set()
