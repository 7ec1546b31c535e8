"""Ways around the guard that a red team found, and that fire under the guard only (the others are fixtures)."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("RestrictedPython")
pytest.importorskip("torch")

from pinned import pin_folder
from safe_remote_code.errors import GuardViolationError
from safe_remote_code.guard.helpers import WRITE
from safe_remote_code.pipeline import load_package
from safe_remote_code.reference import parse

POLICY = """
format = 1
extends = ["default"]
[walls]
unsafe_disable = ["analysis"]
"""


def _module(folder: Path, **files: str) -> Any:
    """The module `main` of a repository of these files, with the analysis switched off."""
    repo, policy, lockfile = folder / "repo", folder / "policy.toml", folder / "remote-code.lock"
    repo.mkdir()
    policy.write_text(POLICY)
    files["main"] = textwrap.dedent(files["main"]) + "\n\nclass Main:\n    pass\n"
    for name, text in files.items():
        (repo / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
    pin_folder(repo, lockfile)
    with pytest.warns(RuntimeWarning, match="switches walls off"):
        return load_package(parse("main.Main", repo), policy=policy, lockfile=lockfile).module("main.py")


def test_a_star_import_binds_no_helper_of_the_guard(tmp_path: Path) -> None:
    """A module's own `__getattr__` answers for any name that its `__all__` lists."""
    hostile = f"""
    __all__ = [{WRITE!r}, "fine"]
    fine = 1

    def __getattr__(name):
        return lambda value: value
    """
    module = _module(tmp_path, main="from .hostile import *", hostile=hostile)
    assert module.fine == 1
    assert WRITE not in vars(module)


def test_a_star_import_reads_exact_names(tmp_path: Path) -> None:
    """A str that changes its mind: fine when it is checked, `__builtins__` when it is read."""
    hostile = """
    class Lie(str):
        looks = 0

        def __str__(self):
            Lie.looks += 1
            return ["fine", "got", "__builtins__"][min(Lie.looks, 3) - 1]

    __all__ = [Lie("fine")]
    """
    module = _module(tmp_path, main="from .hostile import *", hostile=hostile)
    assert "got" not in vars(module)


def test_a_facade_keeps_its_name(tmp_path: Path) -> None:
    """`facade.__init__` renames it; what it shows is decided under the name that it was made for."""
    text = """
    import math

    class Lie(str):
        def __hash__(self):
            return str.__hash__("os")

        def __eq__(self, other):
            return other == "os"

        def __format__(self, how):
            return "math"

    math.__init__(Lie("x"))

    def read():
        return math.getcwd
    """
    module = _module(tmp_path, main=text)
    with pytest.raises(AttributeError):
        module.read()


@pytest.mark.parametrize(
    "way", ["weakref.WeakMethod(importlib.import_module)", "copy.deepcopy(importlib.import_module, memo)"]
)
def test_nothing_of_ours_is_a_bound_method(way: str, tmp_path: Path) -> None:
    """`__self__` is refused, but `weakref.ref.__call__(WeakMethod(m))` and a deepcopy's memo show it."""
    text = f"""
    import copy
    import importlib
    import weakref

    def found():
        memo = {{}}
        made = {way}
        return [weakref.ref.__call__(made)] if not memo and made is not importlib.import_module else list(memo.values())
    """
    module = _module(tmp_path, main=text)
    try:
        found = module.found()
    except (GuardViolationError, TypeError):
        return
    assert not [item for item in found if type(item).__module__.startswith("safe_remote_code.")]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_remote_code_starts_is_remote_code(tmp_path: Path) -> None:
    """Its stack holds no remote frame when its target is a library's function."""
    text = """
    import threading

    def start(function):
        thread = threading.Thread(target=function)
        thread.start()
        thread.join()
    """
    module, target = _module(tmp_path, main=text), tmp_path / "canary"
    module.start(target.touch)  # as if the code had got hold of it
    assert not target.exists()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_saver_opens_no_folder_in_a_thread(tmp_path: Path) -> None:
    """A saving method that a library calls in a thread of the remote code's is not a call by the user."""
    text = """
    import threading

    class Saver:
        def save_pretrained(self, save_directory):
            with open(save_directory + "/canary", "w") as stream:
                stream.write("x")

        __call__ = save_pretrained

    def start(path):
        thread = threading.Thread(target=Saver(), args=(path,))
        thread.start()
        thread.join()
    """
    module = _module(tmp_path, main=text)
    module.start(str(tmp_path))
    assert not (tmp_path / "canary").exists()
