"""No function of transformers that can run remote code is unknown to us.

This reads the source of the installed transformers, so that a new version which adds a function, or a
holder by name, fails here and not in a user's process.
"""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

from safe_remote_code.integrations.transformers_patch import PATCHED

pytestmark = pytest.mark.torch

#: Functions of `dynamic_module_utils` that keep their place, and why.
LEFT = {
    "resolve_trust_remote_code": "asks the user; what the answer allows still goes through our loader",
    "check_imports": "imports packages to see whether they are there; called by the replaced function only",
    "check_python_requirements": "reads requirements.txt and compares installed versions; runs nothing",
    "get_imports": "reads; called by replaced functions only",
    "get_relative_imports": "reads",
    "get_relative_import_files": "reads",
    "init_hf_modules": "makes the folder of the module cache, which we never execute from",
    "create_dynamic_module": "makes a folder there",
    "_sanitize_module_name": "spells a name",
    "_compute_local_source_files_hash": "reads",
    "_raise_timeout_error": "a signal handler of the prompt",
}
#: Files that may hold the module itself, and what they take of it.
WHOLE_MODULE: dict[str, str] = {}


def root() -> Path:
    spec = importlib.util.find_spec("transformers")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def sources() -> dict[str, ast.Module]:
    """The files of transformers that speak of dynamic modules."""
    found = {}
    for path in sorted(root().rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "dynamic_module_utils" in text:
            found[path.relative_to(root()).as_posix()] = ast.parse(text)
    return found


def test_every_function_of_the_module_is_replaced_or_left_for_a_reason() -> None:
    tree = ast.parse((root() / "dynamic_module_utils.py").read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert defined - set(PATCHED) - set(LEFT) == set()
    assert set(PATCHED) <= defined
    assert all(reason.strip() for reason in LEFT.values())


def test_every_name_that_transformers_imports_from_it_is_known() -> None:
    unknown: dict[str, set[str]] = {}
    modules: dict[str, list[str]] = {}
    for path, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("dynamic_module_utils"):
                names = {alias.name for alias in node.names} - set(PATCHED) - set(LEFT)
                if names:
                    unknown[path] = names
                renamed = [alias.name for alias in node.names if alias.asname and alias.name in PATCHED]
                assert renamed == [], f"{path} holds {renamed} under another name"
            elif isinstance(node, ast.ImportFrom | ast.Import):
                held = [alias.name for alias in node.names if alias.name.endswith("dynamic_module_utils")]
                if held:
                    modules[path] = held
    assert unknown == {}
    assert set(modules) <= set(WHOLE_MODULE)


def test_no_module_keeps_a_copy_where_rebinding_does_not_look() -> None:
    """A default argument, a class attribute, a partial or a table would be a holder that we do not replace."""
    hidden = []
    for path, tree in sources().items():
        calls = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id in PATCHED and id(node) not in calls:
                hidden.append(f"{path}:{node.lineno} {node.id}")
    assert hidden == []


def test_code_is_executed_from_files_only_where_we_know_it() -> None:
    """`spec_from_file_location` and `exec_module` are how a file that is no installed module runs."""
    known = {
        "dynamic_module_utils.py": "the replaced loader",
        "integrations/integration_utils.py": "Ray: re-executes the package init of the library datasets",
        "utils/import_utils.py": "loads its own submodules",
        "testing_utils.py": "tests of transformers",
    }
    words = ("spec_from_file_location", "SourceFileLoader", "exec_module(")
    found = {
        path.relative_to(root()).as_posix()
        for path in root().rglob("*.py")
        if any(word in path.read_text(encoding="utf-8") for word in words)
    }
    assert found - set(known) == set()
