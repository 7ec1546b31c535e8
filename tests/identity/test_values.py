"""Each value refuses a false claim, by its constructor and by `dataclasses.replace`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_remote_code.errors import DigestMismatchError, RefusedError
from safe_remote_code.limits import MAX_FILE_BYTES, MAX_LINE_CHARS, MAX_SNAPSHOT_FILES
from safe_remote_code.lockfile import Lock, LockedPackage
from safe_remote_code.reference import ModuleRef, RepoSource, check_path, parse, parse_source
from safe_remote_code.snapshot import Snapshot, SourceFile, manifest_digest, snapshot
from safe_remote_code.verify import VerifiedSnapshot

HUB = RepoSource(kind="hub", location="owner/name")
REF = ModuleRef(source=HUB, path="modeling_x.py", class_name="X")
FILE = SourceFile(path="a.py", data=b"x = 1\n")
OTHER = SourceFile(path="b.py", data=b"y = 1\n")
CODE = snapshot([OTHER, FILE])
PACKAGE = LockedPackage(source="hub:owner/name", commit="0" * 40, files=CODE.manifest, entry_points=("a.A",))
VERIFIED = VerifiedSnapshot(snapshot=CODE, package=PACKAGE)

FALSE_CLAIMS: dict[str, tuple[Any, dict[str, object]]] = {
    "a hub id that climbs": (HUB, {"location": "owner/.."}),
    "a hub id with a separator": (HUB, {"location": "owner--evil/name"}),
    "a hub id with a newline": (HUB, {"location": "owner/name\n"}),
    "a hub id that is a path": (HUB, {"location": "/etc"}),
    "a hub id of three parts": (HUB, {"location": "a/b/c"}),
    "an unknown kind of repository": (HUB, {"repo_type": "kernel"}),
    "a relative directory": (HUB, {"kind": "local", "location": "here"}),
    "a directory with a NUL": (HUB, {"kind": "local", "location": "/a\0b"}),
    "a module path that climbs": (REF, {"path": "../x.py"}),
    "an absolute module path": (REF, {"path": "/etc/x.py"}),
    "a module that is no Python file": (REF, {"path": "x.so"}),
    "a class that is no identifier": (REF, {"class_name": "X; import os"}),
    "a class of another script": (REF, {"class_name": "Х"}),
    "a file larger than the bound": (FILE, {"data": b"#" * (MAX_FILE_BYTES + 1)}),
    "a file that is not UTF-8": (FILE, {"data": b"\xff"}),
    "a file of another coding": (FILE, {"data": b"# coding: utf-7\n"}),
    "a file with a NUL": (FILE, {"data": b"x = '\0'\n"}),
    "a file with a lone carriage return": (FILE, {"data": b"# harmless\rimport os\n"}),
    "a file with an endless line": (FILE, {"data": b"#" * (MAX_LINE_CHARS + 1)}),
    "a file outside the repository": (FILE, {"path": "../a.py"}),
    "a snapshot of nothing": (CODE, {"files": ()}),
    "a snapshot that is not sorted": (CODE, {"files": (OTHER, FILE)}),
    "a snapshot with a file twice": (CODE, {"files": (FILE, FILE)}),
    "a snapshot with names that collide": (CODE, {"files": (replace(FILE, path="A.py"), FILE)}),
    "a lock entry without files": (PACKAGE, {"files": {}}),
    "a lock entry without entry points": (PACKAGE, {"entry_points": ()}),
    "a lock entry at a branch": (PACKAGE, {"commit": "main"}),
    "a lock entry of nowhere": (PACKAGE, {"source": "owner/name"}),
    "a lock entry with a path that climbs": (PACKAGE, {"files": {"../a.py": "a" * 64}}),
    "a lock entry with a short hash": (PACKAGE, {"files": {"a.py": "a"}}),
    "a lock with a package twice": (Lock(packages=(PACKAGE,)), {"packages": (PACKAGE, PACKAGE)}),
    "a proof without a pin": (VERIFIED, {"package": None}),
    "a proof for other bytes": (VERIFIED, {"snapshot": snapshot([replace(FILE, data=b"x = 2\n"), OTHER])}),
    "a proof for a file more": (VERIFIED, {"snapshot": snapshot([FILE, OTHER, replace(FILE, path="c.py")])}),
}


@pytest.mark.parametrize("case", FALSE_CLAIMS)
def test_replace_cannot_forge(case: str) -> None:
    value, forged = FALSE_CLAIMS[case]
    with pytest.raises((RefusedError, ValueError, DigestMismatchError)):
        replace(value, **forged)


@pytest.mark.parametrize("value", [HUB, REF, FILE, CODE, PACKAGE, VERIFIED], ids=lambda value: type(value).__name__)
def test_values_are_frozen_and_hold_nothing_else(value: Any) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(value, type(value).__dataclass_fields__.copy().popitem()[0], None)
    assert not hasattr(value, "__dict__")


@pytest.mark.parametrize(("value", "derived"), [(FILE, "text"), (FILE, "sha256"), (CODE, "digest")])
def test_what_is_derived_cannot_be_given(value: Any, derived: str) -> None:
    with pytest.raises((TypeError, ValueError)):
        replace(value, **{derived: "x"})


def test_too_many_files_are_refused() -> None:
    with pytest.raises(RefusedError, match="more than"):
        snapshot(SourceFile(path=f"f{number}.py", data=b"") for number in range(MAX_SNAPSHOT_FILES + 1))


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_a_file_or_a_refusal(data: bytes) -> None:
    try:
        file = SourceFile(path="a.py", data=data)
    except RefusedError:
        return
    assert file.text.replace("\n", "\r\n").encode() == data or "\r" not in file.text


@given(st.dictionaries(st.sampled_from(["a.py", "b.py", "a/b.py", "c.py"]), st.binary(max_size=3), min_size=1))
def test_the_digest_is_a_function_of_names_and_bytes_and_of_nothing_else(contents: dict[str, bytes]) -> None:
    def taken(order: Callable[[Any], Any]) -> Snapshot | None:
        try:
            return snapshot(order([SourceFile(path=path, data=data) for path, data in contents.items()]))
        except RefusedError:
            return None

    first, second = taken(list), taken(lambda files: list(reversed(files)))
    assert (first is None) == (second is None)
    if first is not None and second is not None:
        assert first.digest == second.digest == manifest_digest(first.manifest)
        renamed = {f"z{path}": sha for path, sha in first.manifest.items()}
        assert manifest_digest(renamed) != first.digest


def test_moving_bytes_between_files_changes_the_digest() -> None:
    one = snapshot([SourceFile(path="a.py", data=b"ab"), SourceFile(path="b.py", data=b"c")])
    two = snapshot([SourceFile(path="a.py", data=b"a"), SourceFile(path="b.py", data=b"bc")])
    assert one.digest != two.digest


@given(st.text(max_size=80))
def test_arbitrary_text_is_a_path_or_a_refusal(text: str) -> None:
    try:
        path = check_path(text)
    except RefusedError:
        return
    assert path.isascii()
    assert not path.startswith("/")
    assert not {"", ".", ".."} & set(path.split("/"))


@given(st.text(max_size=80), st.text(max_size=40))
def test_arbitrary_references_are_parsed_or_refused(reference: str, location: str) -> None:
    try:
        ref = parse(reference, f"owner/{location}")
    except RefusedError:
        return
    assert ref.entry_point == reference.rpartition("--")[2]


@pytest.mark.parametrize(
    "reference", ["X", "a.b.X", "--a.X", "a--b--c.X", "../b--a.X", "o/n--../a.X", "a.X\n", "a .X", ""]
)
def test_malformed_references_are_refused(reference: str) -> None:
    with pytest.raises(RefusedError):
        parse(reference, "owner/name")


def test_a_revision_speaks_of_the_repository_that_the_user_named() -> None:
    assert parse("m.X", "o/n", revision="r").revision == "r"
    assert parse("o/n--m.X", "o/n", revision="r").revision == "r"
    assert parse("other/n--m.X", "o/n", revision="r").revision is None
    assert parse("other/n--m.X", "o/n", revision="r", code_revision="c").revision == "c"


@pytest.mark.parametrize("location", ["/no/such/folder", "./no-such-folder", "../no-such-folder", "~/no-such-folder"])
def test_a_path_that_is_not_there_is_never_taken_for_a_hub_id(location: str) -> None:
    with pytest.raises(RefusedError, match="no such directory"):
        parse_source(location)
