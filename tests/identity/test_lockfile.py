"""The lock: canonical, atomic, and malformed in no way that is not a `DocumentError` with its place."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from safe_remote_code.capability import CAPABILITIES
from safe_remote_code.errors import DocumentError
from safe_remote_code.lockfile import Lock, LockedPackage, format_lock, parse_lock, read_lock, write_lock

_part = st.text("ABXYZabxyz019_.+-", max_size=12).map(lambda text: f"m{text}")
_path = st.lists(_part, min_size=1, max_size=3).map(lambda parts: "/".join(parts) + ".py")
_sha = st.binary(min_size=32, max_size=32).map(bytes.hex)
_source = st.one_of(
    st.builds("hub:{}/{}".format, _part, _part),
    st.text(st.characters(min_codepoint=32, max_codepoint=0xFFFF, exclude_categories=["Cs"])).map(
        lambda name: f"local:{name}"
    ),
)
_package = st.builds(
    LockedPackage,
    source=_source,
    commit=st.none() | st.binary(min_size=20, max_size=20).map(bytes.hex),
    files=st.dictionaries(_path, _sha, min_size=1, max_size=4),
    entry_points=st.lists(st.builds("{}.{}".format, _part, _part), min_size=1, max_size=4, unique=True).map(
        lambda entries: tuple(sorted(entries))
    ),
    capabilities=st.lists(st.sampled_from(sorted(CAPABILITIES)), unique=True).map(lambda names: tuple(sorted(names))),
)


def _lock(packages: list[LockedPackage]) -> Lock:
    lock = Lock()
    for package in packages:
        lock = lock.with_package(package, replace_source=False)
    return lock


_locks = st.lists(_package, max_size=4).map(_lock)
GOOD = _lock(
    [LockedPackage(source="hub:owner/name", commit="0" * 40, files={"modeling_a.py": "a" * 64},
                   entry_points=("modeling_a.A",)),
     LockedPackage(source="local:dir", commit=None, files={"modeling_b.py": "b" * 64, "c.py": "c" * 64},
                   entry_points=("modeling_b.B", "modeling_b.C"), capabilities=("network", "process"))]
)  # fmt: skip
TEXT = format_lock(GOOD)


@settings(max_examples=40, deadline=None)
@given(_locks)
def test_what_is_written_is_what_is_read(lock: Lock) -> None:
    assert parse_lock(format_lock(lock).encode(), "lock") == lock


@settings(max_examples=30, deadline=None)
@given(st.lists(_package, max_size=3), st.randoms())
def test_the_same_content_is_the_same_bytes_whatever_the_order(packages: list[LockedPackage], random: object) -> None:
    unique = list({(package.source, package.digest): package for package in packages}.values())
    shuffled = sorted(unique, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert format_lock(_lock(shuffled)) == format_lock(_lock(unique))


@given(st.integers(0, len(TEXT.encode()) - 1))
def test_a_lock_cut_off_anywhere_is_refused(length: int) -> None:
    cut = TEXT.encode()[:length]
    if TEXT.encode()[length:].strip():
        with pytest.raises(DocumentError):
            parse_lock(cut, "lock")


@settings(max_examples=300)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@example(b"\xff")
@example(b"format = 1\npackages = 0\n" + b"x = " + b"[" * 5000)
def test_arbitrary_bytes_are_a_lock_or_a_document_error(data: bytes) -> None:
    try:
        parse_lock(data, "lock")
    except DocumentError as error:
        assert error.subject.startswith("lock")


@settings(max_examples=300)
@given(st.integers(0, len(TEXT) - 1), st.characters(max_codepoint=0x17F))
def test_one_changed_character_never_changes_what_is_approved(place: int, char: str) -> None:
    """What is approved is bytes for a source at a commit by an entry point: the first two are bound by the digest."""
    try:
        parsed = parse_lock((TEXT[:place] + char + TEXT[place + 1 :]).encode(), "lock")
    except DocumentError:
        return
    assert [package.files for package in parsed.packages] in (
        [package.files for package in GOOD.packages], [package.files for package in reversed(GOOD.packages)])  # fmt: skip


HOSTILE = {
    "format of another version": (("format = 1", "format = 2"), "lock: format"),
    "format as a boolean": (("format = 1", "format = true"), "lock: format"),
    "no format": (("format = 1\n", ""), "lock: format"),
    "a count too low": (("packages = 2", "packages = 1"), "lock: packages"),
    "a count too high": (("packages = 2", "packages = 3"), "lock: packages"),
    "an unknown key": (("packages = 2", "packages = 2\npinned = true"), "lock: pinned"),
    "an unknown key of a package": (('commit = "0', 'approved = true\ncommit = "0'), "lock: package[0].approved"),
    "a digest of something else": (("a" * 64, "d" * 64), "lock: package[0].digest"),
    "no digest": (('source = "local:dir"\ndigest', 'source = "local:dir"\n# digest'), "lock: package[1].digest"),
    "a short hash": (("a" * 64, "a" * 63), "lock: package[0]"),
    "a hash in capitals": (("a" * 64, "A" * 64), "lock: package[0]"),
    "a commit that is a branch": (('"' + "0" * 40, '"main'), "lock: package[0]"),
    "a commit that is a number": (('commit = "' + "0" * 40 + '"', "commit = 0"), "lock: package[0].commit"),
    "a path that climbs": (('"c.py"', '"../c.py"'), "lock: package[1]"),
    "an absolute path": (('"c.py"', '"/etc/c.py"'), "lock: package[1]"),
    "a path with a NUL": (('"c.py"', r'"c\u0000.py"'), "lock: package[1]"),
    "a path twice": (('"c.py"', '"modeling_b.py"'), "lock: package[1].file["),
    "an unknown capability": (('"network"', '"everything"'), "lock: package[1].capabilities"),
    "a source of no kind": (("local:dir", "ftp:dir"), "lock: package[1]"),
    "a source with a control character": (("local:dir", r"local:\u001b[2J"), "lock: package[1]"),
    "entry points that are not a list": (('entry_points = [\n    "modeling_a.A",\n]', 'entry_points = "modeling_a.A"'),
                                         "lock: package[0].entry_points"),
    "an entry point twice": (('"modeling_b.C"', '"modeling_b.B"'), "lock: package[1].entry_points"),
    "no entry point": (('entry_points = [\n    "modeling_a.A",\n]', "entry_points = []"), "lock: package[0]"),
    "a package that is no table": (("[[package]]\n", "[package]\n"), "lock"),
    "a TOML key twice": (("packages = 2", "packages = 2\npackages = 2"), "lock"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_lock_is_refused_at_its_place(case: str) -> None:
    (old, new), place = HOSTILE[case]
    assert old in TEXT
    with pytest.raises(DocumentError) as caught:
        parse_lock(TEXT.replace(old, new, 1).encode(), "lock")
    assert caught.value.subject.startswith(place)


def test_a_package_twice_is_refused() -> None:
    block = TEXT[TEXT.index("[[package]]") : TEXT.rindex("[[package]]\nsource")]
    with pytest.raises(DocumentError, match="pinned twice"):
        parse_lock(TEXT.replace("packages = 2", "packages = 3").replace(block, block + block).encode(), "lock")


def test_a_lock_that_is_too_large_or_no_file_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.lock"
    with large.open("wb") as stream:
        stream.truncate(64 * 1024 * 1024)
    for path in (large, tmp_path):
        with pytest.raises(DocumentError):
            read_lock(path)


def test_a_dangling_link_is_not_an_empty_lock(tmp_path: Path) -> None:
    (tmp_path / "remote-code.lock").symlink_to(tmp_path / "gone")
    with pytest.raises(DocumentError):
        read_lock(tmp_path / "remote-code.lock")


def test_no_file_is_an_empty_lock(tmp_path: Path) -> None:
    assert read_lock(tmp_path / "remote-code.lock") == Lock()


def test_writing_fails_whole_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "remote-code.lock"
    write_lock(Lock(), path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(DocumentError, match="No space left"):
        write_lock(GOOD, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["remote-code.lock"]


def test_a_reader_sees_the_old_lock_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "remote-code.lock"
    write_lock(Lock(), path)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            write_lock(GOOD, path)
            write_lock(Lock(), path)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(300):
            assert read_lock(path) in (Lock(), GOOD)
    finally:
        stop.set()
        writer.join()


def test_the_lock_is_a_plain_readable_file(tmp_path: Path) -> None:
    path = tmp_path / "remote-code.lock"
    write_lock(GOOD, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_directory_with_an_astral_name_can_be_locked() -> None:
    lock = _lock(
        [LockedPackage(source="local:\U0001f600", commit=None, files={"a.py": "a" * 64}, entry_points=("a.A",))]
    )
    assert parse_lock(format_lock(lock).encode(), "lock") == lock


def test_a_directory_with_an_undecodable_name_is_refused() -> None:
    with pytest.raises(ValueError, match="source"):
        LockedPackage(source="local:\udcff", commit=None, files={"a.py": "a" * 64}, entry_points=("a.A",))
