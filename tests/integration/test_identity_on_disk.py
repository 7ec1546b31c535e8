"""What lies on disk beside the pinned bytes, or takes their place at the wrong moment, never runs."""

from __future__ import annotations

import importlib.util
import os
import py_compile
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pinned import pin_folder
from safe_remote_code import RefusedError, get_class_from_dynamic_module

from .repos import PLAIN, is_guarded, write

TWO_FILES = {"model.py": "from .part import MARK\n\n\nclass Thing:\n    mark = MARK\n", "part.py": "MARK = {mark!r}\n"}
EVIL = "raise SystemExit('evil ran')\n"


def repository(folder: Path, mark: str) -> Path:
    return write(folder, {name: text.replace("{mark!r}", repr(mark)) for name, text in TWO_FILES.items()})


def load(folder: Path, lockfile: Path, reference: str = "model.Thing") -> Any:
    return get_class_from_dynamic_module(reference, folder, lockfile=lockfile)


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A repository of two files; its mark, and so its content, is that of the test alone."""
    return repository(tmp_path / "repo", request.node.name)


@pytest.fixture
def lockfile(folder: Path, tmp_path: Path) -> Path:
    pin_folder(folder, tmp_path / "lock")
    return tmp_path / "lock"


def compiled_evil(place: Path) -> None:
    """A `.pyc` that the import system would take without a look at the source (PEP 552, unchecked hash)."""
    source = place.with_name("evil_source.py")
    place.parent.mkdir(exist_ok=True)
    source.write_text(EVIL)
    py_compile.compile(
        str(source), cfile=str(place), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, doraise=True
    )
    source.unlink()


def pycache_of_sibling(folder: Path) -> None:
    compiled_evil(folder / "__pycache__" / f"part.{sys.implementation.cache_tag}.pyc")


def pycache_of_entry(folder: Path) -> None:
    compiled_evil(folder / "__pycache__" / f"model.{sys.implementation.cache_tag}.pyc")


def bare_pyc(folder: Path) -> None:
    compiled_evil(folder / "part.pyc")


def package_beside_module(folder: Path) -> None:
    """`part/__init__.py` would win over `part.py` in the import system."""
    write(folder, {"part/__init__.py": EVIL})


def extension_beside_module(folder: Path) -> None:
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    write(folder, {f"part{suffix}": b"\x7fELF not really"})


def init_file(folder: Path) -> None:
    write(folder, {"__init__.py": EVIL})


def sitecustomize(folder: Path) -> None:
    write(folder, {"sitecustomize.py": EVIL, "conftest.py": EVIL, "torch.py": EVIL, "collections.py": EVIL})


@pytest.mark.parametrize(
    "addition",
    [pycache_of_sibling, pycache_of_entry, bare_pyc, package_beside_module, extension_beside_module, init_file,
     sitecustomize],
    ids=lambda function: function.__name__,
)  # fmt: skip
def test_a_file_that_is_added_has_no_effect_or_is_refused(
    folder: Path, lockfile: Path, addition: Callable[[Path], None], request: pytest.FixtureRequest
) -> None:
    addition(folder)
    try:
        found = load(folder, lockfile)
    except RefusedError:
        return
    assert found.mark == request.node.name
    assert is_guarded(found)


def rename(folder: Path) -> None:
    (folder / "part.py").rename(folder / "other.py")


def remove(folder: Path) -> None:
    (folder / "part.py").unlink()


def swap(folder: Path) -> None:
    part, model = (folder / "part.py").read_bytes(), (folder / "model.py").read_bytes()
    write(folder, {"part.py": model, "model.py": part})


def one_bit(folder: Path) -> None:
    data = bytearray((folder / "part.py").read_bytes())
    data[-3] ^= 1
    (folder / "part.py").write_bytes(data)


def link_outside(folder: Path) -> None:
    outside = folder.parent / "outside.py"
    (folder / "part.py").rename(outside)
    (folder / "part.py").symlink_to(outside)


def fifo(folder: Path) -> None:
    (folder / "part.py").unlink()
    os.mkfifo(folder / "part.py")


def directory(folder: Path) -> None:
    (folder / "part.py").unlink()
    (folder / "part.py").mkdir()


@pytest.mark.parametrize(
    "change", [rename, remove, swap, one_bit, link_outside, fifo, directory], ids=lambda function: function.__name__
)
def test_a_changed_repository_is_refused(folder: Path, lockfile: Path, change: Callable[[Path], None]) -> None:
    from safe_remote_code import FetchError

    change(folder)
    with pytest.raises((RefusedError, FetchError)):
        load(folder, lockfile)


def test_a_link_inside_the_repository_is_followed_and_its_content_judged(folder: Path, lockfile: Path) -> None:
    (folder / "part.py").rename(folder / "real.py")
    (folder / "part.py").symlink_to("real.py")
    assert load(folder, lockfile).mark
    (folder / "real.py").write_text(EVIL)
    with pytest.raises(RefusedError):
        load(folder, lockfile)


def test_a_file_that_is_replaced_after_the_check_is_not_read_again(
    folder: Path, lockfile: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """The swap happens after every single stage, the last of them being execution."""
    from safe_remote_code import pipeline

    swapped = []

    def then_swap(name: str) -> None:
        original = getattr(pipeline, name)

        def stage(*arguments: Any, **keywords: Any) -> Any:
            result = original(*arguments, **keywords)
            write(folder, {"model.py": EVIL, "part.py": EVIL})
            swapped.append(name)
            return result

        monkeypatch.setattr(pipeline, name, stage)

    for name in ("fetch", "verify", "analyse", "admit", "guard", "lay_out"):
        then_swap(name)
    found = load(folder, lockfile)
    assert found.mark == request.node.name
    assert {"fetch", "verify", "admit", "guard", "lay_out"} <= set(swapped)


def test_the_store_of_sources_is_never_executed(folder: Path, lockfile: Path, request: pytest.FixtureRequest) -> None:
    """A poisoned store, with a poisoned `__pycache__`, is put right on the next load and believed by nobody."""
    import subprocess

    found = load(folder, lockfile)
    store = Path(sys.modules[found.__module__].__file__).parent
    for name in ("model.py", "part.py", "__init__.py"):
        (store / name).write_text(EVIL)
    pycache_of_sibling(store)
    pycache_of_entry(store)
    script = (
        "import sys; from safe_remote_code import get_class_from_dynamic_module as load\n"
        f"print(load('model.Thing', {str(folder)!r}, lockfile={str(lockfile)!r}).mark)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == request.node.name
    assert (store / "part.py").read_bytes() == (folder / "part.py").read_bytes()


def test_a_store_that_cannot_be_written_is_no_reason_to_fail(
    folder: Path, lockfile: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import inspect

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    found = load(folder, lockfile)
    assert inspect.getsource(found).startswith("class Thing")


def test_a_link_in_the_store_is_replaced_and_not_written_through(
    folder: Path, lockfile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safe_remote_code.execute.source_store import lay_out
    from safe_remote_code.snapshot import SourceFile, snapshot

    victim, store = tmp_path / "victim.py", tmp_path / "store"
    victim.write_text("mine\n")
    store.mkdir()
    (store / "model.py").symlink_to(victim)
    lay_out(snapshot([SourceFile(path="model.py", data=b"MARK = 1\n")]), store)
    assert victim.read_text() == "mine\n"
    assert not (store / "model.py").is_symlink()
    assert (store / "model.py").read_bytes() == b"MARK = 1\n"


def test_a_linked_folder_in_the_store_is_not_written_through(tmp_path: Path) -> None:
    """Under `run` the store of a package may be written to by confined code; the next process lays its text out there."""
    from safe_remote_code.execute.source_store import lay_out
    from safe_remote_code.snapshot import SourceFile, snapshot

    victim, store = tmp_path / "victim", tmp_path / "store"
    victim.mkdir()
    (victim / "settings.py").write_text("mine\n")
    store.mkdir()
    (store / "conf").symlink_to(victim)
    files = [SourceFile(path="conf/settings.py", data=b"A = 1\n"), SourceFile(path="b/c/model.py", data=b"B = 1\n")]
    lay_out(snapshot(files), store)
    assert (victim / "settings.py").read_text() == "mine\n" and len(list(victim.iterdir())) == 1
    assert (store / "b" / "c" / "model.py").read_bytes() == b"B = 1\n"


@pytest.mark.torch
def test_a_poisoned_module_cache_of_transformers_has_no_effect(
    folder: Path, lockfile: Path, request: pytest.FixtureRequest
) -> None:
    """Every name under which transformers, or we, could look for the module holds a file that would end the process."""
    from transformers.utils import HF_MODULES_CACHE

    from safe_remote_code.execute.in_process import package_name
    from safe_remote_code.lockfile import read_lock

    package = read_lock(lockfile).packages[0]
    ours = package_name("local:repo", package.digest).split(".")
    for parts in (ours, ["transformers_modules", "repo"], ["transformers_modules"]):
        place = Path(HF_MODULES_CACHE, *parts)
        write(place, {"__init__.py": EVIL, "model.py": EVIL, "part.py": EVIL})
        pycache_of_sibling(place)
    sys.path.insert(0, HF_MODULES_CACHE)
    try:
        found = load(folder, lockfile)
    finally:
        sys.path.remove(HF_MODULES_CACHE)
        shutil.rmtree(Path(HF_MODULES_CACHE, "transformers_modules"))
    assert found.mark == request.node.name


def test_a_module_below_our_prefix_that_was_not_admitted_cannot_be_imported(
    folder: Path, lockfile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = load(folder, lockfile)
    package = found.__module__.rpartition(".")[0]
    write(tmp_path / "path" / "/".join(package.split(".")), {"evil.py": EVIL})
    monkeypatch.syspath_prepend(str(tmp_path / "path"))
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"{package}.evil")


@pytest.mark.parametrize(
    "name",
    ["a.b", "a-b", "1st", "4.5-model_v2", "with space", "class", "naïve", "a__b", "UPPER", "x.py", "_", "ab'c\""],
)
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / name, {"model.py": PLAIN.format(mark=name)})
    pin_folder(folder, tmp_path / "lock")
    found = load(folder, tmp_path / "lock")
    assert found.mark == name
    assert all(part.isidentifier() for part in found.__module__.split("."))


@pytest.mark.parametrize("module", ["modeling-x", "3d_model", "class", "_private"])
def test_a_module_may_have_a_name_that_no_import_statement_could_spell(tmp_path: Path, module: str) -> None:
    folder = write(tmp_path / "odd_module", {f"{module}.py": PLAIN.format(mark=module)})
    pin_folder(folder, tmp_path / "lock")
    assert load(folder, tmp_path / "lock", f"{module}.Thing").mark == module


@pytest.mark.parametrize(
    "reference",
    ["../model.Thing", "/etc/passwd.Thing", "model", "model.Thing.mark", "model.__class__", ".Thing", "mo\0del.Thing"],
)
def test_a_malformed_reference_is_refused(folder: Path, lockfile: Path, reference: str) -> None:
    with pytest.raises(RefusedError):
        load(folder, lockfile, reference)


def test_two_repositories_of_one_name_do_not_meet(tmp_path: Path) -> None:
    """Natively, up to 4.57, the second is executed into the module of the first."""
    folders = [repository(tmp_path / side / "same", f"{side} of two") for side in ("left", "right")]
    for folder in folders:
        pin_folder(folder, tmp_path / "lock")
    left, right = (load(folder, tmp_path / "lock") for folder in folders)
    assert (left.mark, right.mark) == ("left of two", "right of two")
    assert left.__module__ != right.__module__
    assert load(folders[0], tmp_path / "lock") is left
    assert sys.modules[left.__module__].Thing is left


def test_a_mixture_of_two_approved_packages_is_refused(tmp_path: Path) -> None:
    """Each file is approved, but not this combination of them."""
    folders = [repository(tmp_path / side, f"{side} half") for side in ("one", "two")]
    write(folders[1], {"model.py": TWO_FILES["model.py"] + "\n"})
    for folder in folders:
        pin_folder(folder, tmp_path / "lock")
    shutil.copy(folders[0] / "part.py", folders[1] / "part.py")
    with pytest.raises(RefusedError):
        load(folders[1], tmp_path / "lock")


def test_a_pin_that_is_withdrawn_refuses_the_next_load(folder: Path, lockfile: Path) -> None:
    load(folder, lockfile)
    lockfile.unlink()
    with pytest.raises(RefusedError):
        load(folder, lockfile)
