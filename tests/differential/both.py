"""Runs one small package of our own twice: under plain CPython, and through the whole pipeline.

A program is a Python file or a folder with a `main.py`. Its cases are the functions `case_*` of `main`, called
without arguments, in the order of their names. What a case came to is text: what it printed, the `repr` of what it
returned, or the class and words of what it raised. Package names, folders and addresses in it are made equal.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import itertools
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, final

from pinned import pin_folder
from safe_remote_code.pipeline import load_package
from safe_remote_code.reference import parse

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = Path(__file__).with_name("programs")
_NUMBERS = itertools.count()
_RECURSION = re.compile(r"(maximum recursion depth exceeded)( (while|in) [^|\n]*)?")
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one case came to."""

    printed: str
    result: str


def programs() -> list[Path]:
    """Every program, by name."""
    return sorted(path for path in PROGRAMS.iterdir() if path.suffix == ".py" or (path / "main.py").exists())


def lay_down(program: Path, folder: Path) -> None:
    """Copy `program` to `folder`, as a repository."""
    if program.is_dir():
        shutil.copytree(program, folder, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        folder.mkdir(parents=True)
        shutil.copyfile(program, folder / "main.py")


def natively(folder: Path) -> dict[str, Seen]:
    """The cases of the repository `folder` under plain CPython."""
    name = f"native_{next(_NUMBERS)}"
    link = folder.parent / name
    link.symlink_to(folder)
    sys.path.insert(0, str(folder.parent))
    importlib.invalidate_caches()
    try:
        return _cases(lambda: importlib.import_module(f"{name}.main"), name, (str(link), str(folder)))
    finally:
        sys.path.remove(str(folder.parent))


def guarded(folder: Path) -> dict[str, Seen]:
    """The cases of the repository `folder`: pinned, analysed, admitted, guarded."""
    lockfile = folder.parent / "remote-code.lock"
    pin_folder(folder, lockfile, "main.Main")
    package = load_package(parse("main.Main", folder), lockfile=lockfile)
    return _cases(lambda: package.module("main.py"), package.name, (str(package.folder), str(folder)))


def _cases(load: Callable[[], ModuleType], name: str, folders: tuple[str, ...]) -> dict[str, Seen]:
    modules: list[ModuleType] = []
    seen = {"": _watch(lambda: modules.append(load()), name, folders)}
    for module in modules:
        for case in sorted(word for word in vars(module) if word.startswith("case_")):
            seen[case] = _watch(getattr(module, case), name, folders)
    return seen


def _watch(case: Callable[[], object], name: str, folders: tuple[str, ...]) -> Seen:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            result = f"returned {case()!r}"
        except Exception as error:
            result = f"raised {type(error).__name__}: {error}"
    return Seen(printed=_equal(printed.getvalue(), name, folders), result=_equal(result, name, folders))


def _equal(text: str, name: str, folders: tuple[str, ...]) -> str:
    for folder in folders:
        text = text.replace(folder, "FOLDER")
    text = _RECURSION.sub(r"\1", text)  # in which words depends on where the stack ended
    return _ADDRESS.sub("ADDRESS", text.replace(name, "PACKAGE"))
