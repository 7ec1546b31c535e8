"""Whatever happens to a pinned tree on disk: what loads is what was pinned, byte for byte, or nothing."""

from __future__ import annotations

import marshal
import os
import py_compile
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from identity.trees import MODELS, NAMES, Tree, pinned, pinned_copy
from safe_remote_code.errors import DigestMismatchError, FetchError, NotPinnedError, RefusedError, RemoteCodeError

PINNED_FILES = [
    (name, file.relative_to(MODELS / name).as_posix())
    for name in NAMES
    for file in sorted((MODELS / name).rglob("*.py"))
]


@pytest.fixture
def decoder(tmp_path: Path) -> Tree:
    return pinned_copy("decoder", tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_an_untouched_copy_loads(name: str, tmp_path: Path) -> None:
    tree = pinned_copy(name, tmp_path)
    assert tree.assert_only_pinned_bytes() == 0


@pytest.mark.parametrize(("name", "path"), PINNED_FILES)
def test_one_changed_byte_in_any_file_is_refused(name: str, path: str, tmp_path: Path) -> None:
    tree = pinned_copy(name, tmp_path)
    assert path in tree.package.files
    data = bytearray((tree.folder / path).read_bytes())
    data[len(data) // 2] ^= 1
    (tree.folder / path).write_bytes(data)
    assert tree.assert_only_pinned_bytes() >= 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_anywhere_is_refused(decoder: Tree, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(decoder.package.files)))
    original = (decoder.folder / path).read_bytes()
    place = data.draw(st.integers(0, len(original) - 1))
    changed = bytearray(original)
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        (decoder.folder / path).write_bytes(changed)
        assert decoder.assert_only_pinned_bytes() >= 1
    finally:
        (decoder.folder / path).write_bytes(original)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_arbitrary_bytes_in_a_file_are_refused_and_never_an_other_error(decoder: Tree, content: bytes) -> None:
    path = "vocabulary.py"
    original = (decoder.folder / path).read_bytes()
    try:
        (decoder.folder / path).write_bytes(content)
        with pytest.raises((RefusedError, FetchError)):
            decoder.load("tokenization_larch.LarchTokenizer")
    finally:
        (decoder.folder / path).write_bytes(original)


def test_the_refusal_names_the_file_and_the_command(decoder: Tree) -> None:
    (decoder.folder / "vocabulary.py").write_text("x = 1\n")
    with pytest.raises(DigestMismatchError, match=r"changed vocabulary\.py") as caught:
        decoder.load("tokenization_larch.LarchTokenizer")
    assert "--update" in caught.value.remedy


@pytest.mark.parametrize(("name", "path"), PINNED_FILES)
def test_a_removed_file_is_refused_or_not_needed(name: str, path: str, tmp_path: Path) -> None:
    tree = pinned_copy(name, tmp_path)
    (tree.folder / path).unlink()
    assert tree.assert_only_pinned_bytes() >= 1


def test_two_files_swapped_are_refused(decoder: Tree) -> None:
    first, second = decoder.folder / "modeling_larch.py", decoder.folder / "vocabulary.py"
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    for outcome in (decoder.outcomes()[entry] for entry in decoder.outcomes() if not entry.startswith("configuration")):
        assert isinstance(outcome, DigestMismatchError)


def test_an_added_file_that_nothing_pinned_imports_has_no_effect(decoder: Tree) -> None:
    (decoder.folder / "zz_added.py").write_text("raise SystemExit('must never run')\n")
    assert decoder.assert_only_pinned_bytes() == 0
    with pytest.raises(DigestMismatchError, match="added zz_added"):
        decoder.load("zz_added.Model")


def test_a_file_added_where_the_code_looks_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "optional"
    folder.mkdir()
    (folder / "modeling_x.py").write_text(
        "try:\n    from . import fast\nexcept ImportError:\n    fast = None\n\n\nclass X:\n    pass\n"
    )
    tree = pinned(folder)
    (folder / "fast.py").write_text("x = 1\n")
    with pytest.raises(DigestMismatchError, match="added fast"):
        tree.load("modeling_x.X")
    (folder / "fast.py").unlink()
    assert list(tree.load("modeling_x.X")) == ["modeling_x.py"]
    (folder / "fast.py").write_text("x = 1\n")  # after the load: what was verified then is still what runs
    assert list(tree.load("modeling_x.X")) == ["modeling_x.py"]


def test_a_package_folder_in_place_of_a_module_is_refused(decoder: Tree) -> None:
    (decoder.folder / "vocabulary").mkdir()
    shutil.move(decoder.folder / "vocabulary.py", decoder.folder / "vocabulary" / "__init__.py")
    with pytest.raises(DigestMismatchError):
        decoder.load("tokenization_larch.LarchTokenizer")


@pytest.mark.parametrize("same_content", [True, False])
def test_a_link_out_of_the_tree_is_refused_whatever_it_leads_to(
    decoder: Tree, same_content: bool, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.py"
    shutil.move(decoder.folder / "vocabulary.py", outside)
    if not same_content:
        outside.write_text("x = 1\n")
    (decoder.folder / "vocabulary.py").symlink_to(outside)
    with pytest.raises(RefusedError, match="leads out of the repository"):
        decoder.load("tokenization_larch.LarchTokenizer")


def test_a_linked_folder_out_of_the_tree_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "linked"
    (folder / "parts").mkdir(parents=True)
    (folder / "modeling_x.py").write_text("from .parts.a import A\n\n\nclass X:\n    pass\n")
    (folder / "parts" / "a.py").write_text("class A:\n    pass\n")
    tree = pinned(folder)
    shutil.move(folder / "parts", tmp_path / "parts")
    (folder / "parts").symlink_to(tmp_path / "parts")
    with pytest.raises(RefusedError, match="leads out of the repository"):
        tree.load("modeling_x.X")


def test_a_device_or_a_pipe_is_refused_and_does_not_block(decoder: Tree) -> None:
    (decoder.folder / "vocabulary.py").unlink()
    os.mkfifo(decoder.folder / "vocabulary.py")
    with pytest.raises(RefusedError, match="not a regular file"):
        decoder.load("tokenization_larch.LarchTokenizer")


def test_a_directory_named_as_a_module_is_refused(decoder: Tree) -> None:
    (decoder.folder / "vocabulary.py").unlink()
    (decoder.folder / "vocabulary.py").mkdir()
    with pytest.raises((RefusedError, FetchError)):
        decoder.load("tokenization_larch.LarchTokenizer")


def test_bytecode_in_the_tree_has_no_effect(decoder: Tree, tmp_path: Path) -> None:
    hostile = tmp_path / "hostile.py"
    hostile.write_text("raise SystemExit('must never run')\n")
    cache = decoder.folder / "__pycache__"
    cache.mkdir()
    for path in decoder.package.files:
        stem = path.removesuffix(".py")
        for place in (
            decoder.folder / f"{stem}.pyc",
            *(cache / f"{stem}.cpython-3{minor}.pyc" for minor in (11, 12, 13)),
        ):
            py_compile.compile(
                str(hostile), cfile=str(place), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
            )
    (decoder.folder / "vocabulary.so").write_bytes(b"\x7fELF")
    assert decoder.assert_only_pinned_bytes() == 0


def test_bytecode_alone_is_no_module(decoder: Tree) -> None:
    (decoder.folder / "vocabulary.py").unlink()
    code = compile("raise SystemExit", "x", "exec")
    (decoder.folder / "vocabulary.pyc").write_bytes(b"\0" * 16 + marshal.dumps(code))
    with pytest.raises(RemoteCodeError):
        decoder.load("tokenization_larch.LarchTokenizer")


def test_a_coding_cookie_is_refused_before_anything_is_decoded(tmp_path: Path) -> None:
    folder = tmp_path / "cookie"
    folder.mkdir()
    (folder / "modeling_x.py").write_text("# -*- coding: utf-8 -*-\nclass X:\n    pass\n")
    tree = pinned(folder)
    assert list(tree.load("modeling_x.X")) == ["modeling_x.py"]
    (folder / "modeling_x.py").write_bytes(b"# -*- coding: utf-7 -*-\n# harmless +AAo-import os\nclass X:\n    pass\n")
    with pytest.raises(RefusedError, match="source encoding 'utf-7'"):
        tree.load("modeling_x.X")


@pytest.mark.parametrize("head", [b"#!/usr/bin/python\n# vim: set fileencoding=utf-7 :\n", b"\xef\xbb\xbf# coding=latin-1\n",
                                  b"\x0c# coding: cp500\n", b"# coding: utf-7\r\n", b"#coding:utf7"])  # fmt: skip
def test_no_spelling_of_a_cookie_gets_by(head: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "cookie"
    folder.mkdir()
    (folder / "modeling_x.py").write_bytes(head + b"class X:\n    pass\n")
    with pytest.raises(RefusedError, match="source encoding"):
        pinned(folder)


def test_a_cookie_that_python_takes_for_utf8_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "cookie"
    folder.mkdir()
    (folder / "modeling_x.py").write_bytes(b"# _*_coding:utf-8_*_\nclass X:\n    pass\n")
    assert list(pinned(folder).load("modeling_x.X")) == ["modeling_x.py"]


def test_names_that_differ_in_case_only_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "case"
    folder.mkdir()
    (folder / "modeling_x.py").write_text("from .helper import a\nfrom .Helper import b\n\n\nclass X:\n    pass\n")
    (folder / "helper.py").write_text("a = 1\n")
    (folder / "Helper.py").write_text("b = 1\n")
    with pytest.raises(RefusedError, match="upper and lower case"):
        pinned(folder)


def test_the_same_code_in_another_folder_loads_by_content(decoder: Tree, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint-7"
    shutil.copytree(decoder.folder, checkpoint)
    moved = Tree(folder=checkpoint, lockfile=decoder.lockfile, package=decoder.package)
    assert moved.assert_only_pinned_bytes() == 0
    (checkpoint / "modeling_larch.py").write_bytes((checkpoint / "modeling_larch.py").read_bytes() + b"\n")
    assert moved.assert_only_pinned_bytes() >= 1


def test_unpinned_code_is_refused_with_the_command_that_pins_it(decoder: Tree, tmp_path: Path) -> None:
    empty = Tree(folder=decoder.folder, lockfile=tmp_path / "absent.lock", package=decoder.package)
    with pytest.raises(NotPinnedError) as caught:
        empty.load("modeling_larch.LarchForCausalLM")
    assert caught.value.remedy.startswith(f"safe-remote-code pin {decoder.folder}")


def test_a_class_that_was_not_approved_is_refused_although_its_bytes_are_pinned(decoder: Tree) -> None:
    with pytest.raises(NotPinnedError, match="not an approved entry point"):
        decoder.load("vocabulary.LarchVocabulary")


def test_a_linked_folder_of_blobs_is_no_part_of_the_repository(tmp_path: Path) -> None:
    """A cloned tree may be laid out like the Hub's cache; what its `blobs` leads to is somebody else's."""
    from safe_remote_code.fetch.local import allowed_roots

    home = tmp_path.resolve()
    (home / "repo" / "snapshots" / "abc").mkdir(parents=True)
    (home / "victim").mkdir()
    (home / "repo" / "blobs").symlink_to(home / "victim")
    assert allowed_roots(str(home / "repo" / "snapshots" / "abc")) == (str(home / "repo" / "snapshots" / "abc"),)
    (home / "repo" / "blobs").unlink()
    (home / "repo" / "blobs").mkdir()
    assert allowed_roots(str(home / "repo" / "snapshots" / "abc"))[1] == str(home / "repo" / "blobs")
