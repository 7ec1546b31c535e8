"""Whatever the bytes: a value, or a refusal of ours; and one changed bit is never approved."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safe_remote_code import admit
from safe_remote_code.analyse import analyse
from safe_remote_code.errors import DigestMismatchError, NotPinnedError, RefusedError
from safe_remote_code.lockfile import Lock, LockedPackage, read_lock, write_lock
from safe_remote_code.policy import load_policy
from safe_remote_code.reference import ModuleRef, RepoSource
from safe_remote_code.snapshot import Snapshot, SourceFile, snapshot
from safe_remote_code.verify import verify

SMALL = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
MODELS = Path(__file__).parents[2] / "fixtures" / "models"
_SNIPPETS = sorted((Path(__file__).parents[2] / "fixtures" / "rules").glob("*/*.py"))

_PATHS = st.one_of(st.text(max_size=20), st.sampled_from(["a.py", "b.py", "A.py", "p/__init__.py", "p/c.py", "../a.py", "a\0.py", ""]))
_WORDS = st.sampled_from(
    """def class import from . * as lambda : ( ) [ ] { } = == := -> , ; # ' " \\ \n \t f' r" b' async await yield match case
    try except finally with if else for in while not is global nonlocal del raise return pass @ ** x y __class__ __globals__
    eval exec getattr type os torch nn self 0 1e9 0x 1_0 \x0c \r \0 é ａ \ufeff \u202e""".split(" ")
)
_CODE = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(_WORDS, max_size=30).map(lambda words: " ".join(words).encode()),
    st.sampled_from([path.read_bytes() for path in _SNIPPETS]),
)


@SMALL
@given(st.dictionaries(_PATHS, _CODE, max_size=4))
def test_arbitrary_bytes_are_a_snapshot_or_a_refusal(files: dict[str, bytes]) -> None:
    try:
        made = snapshot(SourceFile(path=path, data=data) for path, data in files.items())
    except RefusedError as error:
        assert str(error)
        return
    assert {file.path: file.data for file in made.files} == files


@SMALL
@given(st.dictionaries(st.sampled_from(["model.py", "other.py", "p/__init__.py"]), _CODE, min_size=1), st.randoms())
def test_analysis_never_raises_and_knows_no_order(files: dict[str, bytes], order: random.Random) -> None:
    try:
        sources = [SourceFile(path=path, data=data) for path, data in files.items()]
        first = snapshot(sources)
    except RefusedError:
        return
    order.shuffle(sources)
    analysis, again = analyse(first), analyse(snapshot(sources))
    assert analysis == again
    assert admit.findings(analysis, load_policy("default"), "hub:a/b") is not None
    unreadable = {finding.path for finding in analysis.findings if finding.rule == "unreadable"}
    for file in first.files:
        if not _parses(file.text):
            assert file.path in unreadable


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _model_files() -> Iterator[tuple[str, dict[str, bytes]]]:
    for folder in sorted(MODELS.iterdir()):
        yield folder.name, {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.py"))}


@pytest.mark.parametrize(("name", "files"), list(_model_files()), ids=lambda value: value if isinstance(value, str) else "")
def test_one_changed_bit_anywhere_is_never_approved(name: str, files: dict[str, bytes]) -> None:
    whole = _snapshot(files)
    path = whole.files[0].path
    package = LockedPackage(
        source=f"local:{name}", commit=None, files=whole.manifest, entry_points=(f"{path.removesuffix('.py')}.Any",)
    )
    lock = Lock(packages=(package,))
    ref = ModuleRef(source=RepoSource(kind="local", location=f"/x/{name}"), path=path, class_name="Any")
    assert verify(whole, ref, lock, pin_command="pin").package == package
    for changed in _changes(files):
        with pytest.raises((DigestMismatchError, NotPinnedError, RefusedError)):
            verify(_snapshot(changed), ref, lock, pin_command="pin")


def _changes(files: dict[str, bytes]) -> Iterator[dict[str, bytes]]:
    chance = random.Random(7)
    for path, data in files.items():
        for place in {0, len(data) - 1, *(chance.randrange(len(data)) for _ in range(40))}:
            flipped = bytearray(data)
            flipped[place] ^= 1 << chance.randrange(8)
            yield files | {path: bytes(flipped)}
        yield files | {path: data + b"\n"}
        yield files | {path: data[:-1]}


def _snapshot(files: dict[str, bytes]) -> Snapshot:
    return snapshot(SourceFile(path=path, data=data) for path, data in files.items())


_HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
_PACKAGES = st.builds(
    LockedPackage,
    source=st.sampled_from(["hub:a/b", "hub:a/c", "hub:datasets/a/b", "local:a b", "local:x'\"\\y"]),
    commit=st.none() | st.text("0123456789abcdef", min_size=40, max_size=40),
    files=st.dictionaries(st.sampled_from(["a.py", "b.py", "p/__init__.py", "p/q.py"]), _HEX, min_size=1),
    entry_points=st.lists(st.sampled_from(["a.A", "b.B", "a.Ä"]), min_size=1, unique=True).map(lambda items: tuple(sorted(items))),
    capabilities=st.sampled_from([(), ("file-read",), ("file-read", "network")]),
)


@SMALL
@given(st.lists(_PACKAGES, max_size=4, unique_by=lambda package: (package.source, package.digest)))
def test_a_lock_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, packages: list[LockedPackage]) -> None:
    lock = Lock(packages=tuple(sorted(packages, key=lambda package: (package.source, package.digest))))
    path = tmp_path_factory.mktemp("lock") / "remote-code.lock"
    write_lock(lock, path)
    first = path.read_bytes()
    assert read_lock(path) == lock
    write_lock(read_lock(path), path)
    assert path.read_bytes() == first
