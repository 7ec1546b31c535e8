"""Where signatures lie: which files are read, in which order, and how they are written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from safe_remote_code.errors import DocumentError, SignatureError
from safe_remote_code.signing.store import (
    Signed,
    package_folder,
    read_rotations,
    read_signatures,
    signature_folder,
    write_file,
)

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.fixture
def lockfile(tmp_path: Path) -> Path:
    return tmp_path / "remote-code.lock"


def _put(folder: Path, **files: bytes) -> None:
    for name, data in files.items():
        write_file(folder / name.replace("__", "."), data)


def test_folders_lie_beside_the_lock() -> None:
    assert signature_folder(Path("a/remote-code.lock")) == Path("a/remote-code.signatures")
    assert signature_folder(Path("a/other")) == Path("a/other.signatures")
    assert package_folder(Path("remote-code.lock"), DIGEST) == Path("remote-code.signatures") / DIGEST[7:39]


def test_what_is_read_is_told_apart_by_name_alone(lockfile: Path) -> None:
    assert read_signatures(lockfile, DIGEST) == ()
    folder = package_folder(lockfile, DIGEST)
    _put(folder, b__json=b"envelope", a__statement__json=b"statement", a__statement__json__sig=b"ssh \xff", c__statement__json=b"unsigned",
         d__txt=b"note", e__json__pending=b"begun")  # fmt: skip
    (folder / ".f.json").write_bytes(b"hidden")
    assert read_signatures(lockfile, DIGEST) == (
        Signed(name="a.statement.json", data=b"statement", ssh_signature="ssh �"),
        Signed(name="b.json", data=b"envelope"),
    )


def test_a_pipe_in_the_folder_keeps_nobody_waiting(lockfile: Path) -> None:
    folder = package_folder(lockfile, DIGEST)
    folder.mkdir(parents=True)
    os.mkfifo(folder / "a.json")
    assert read_signatures(lockfile, DIGEST) == (Signed(name="a.json", data=b""),)


def test_links_are_not_followed(lockfile: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"x")
    for name in ("a.json", "b.statement.json", "b.statement.json.sig"):
        folder = package_folder(lockfile, DIGEST)
        _put(folder, b__statement__json=b"x", b__statement__json__sig=b"x")
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(DocumentError, match="symbolic links"):
            read_signatures(lockfile, DIGEST)
        (folder / name).unlink()


def test_rotations_are_read_in_the_order_of_their_numbers(lockfile: Path) -> None:
    assert read_rotations(lockfile, "team") == ()
    folder = signature_folder(lockfile) / "rotations" / "team"
    for number in range(1, 12):
        write_file(folder / f"{number}.json", b"%d" % number)
    _put(folder, note=b"x", begun__pending=b"x")
    assert read_rotations(lockfile, "team") == tuple(b"%d" % number for number in range(1, 12))
    assert read_rotations(lockfile, "other") == ()
    for name in ("0.json", "13.json", "01.json", "x.json"):
        write_file(folder / name, b"x")
        with pytest.raises(SignatureError, match="without gaps"):
            read_rotations(lockfile, "team")
        (folder / name).unlink()
    (folder / "3.json").unlink()
    with pytest.raises(SignatureError, match="without gaps"):
        read_rotations(lockfile, "team")


def test_files_are_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "deep" / "er" / "x.json"
    before = os.umask(0o077)
    try:
        write_file(place, b"one")
    finally:
        os.umask(before)
    assert (place.read_bytes(), place.stat().st_mode & 0o777, os.listdir(place.parent)) == (b"one", 0o644, ["x.json"])
    write_file(place, b"two")
    seen: list[tuple[bytes, bytes, Path]] = []

    def stopped(source: str, target: Path) -> None:
        seen.append((Path(source).read_bytes(), Path(target).read_bytes(), Path(source)))
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_file(place, b"three")
    [(new, old, temporary)] = seen
    assert (new, old, temporary.parent) == (b"three", b"two", place.parent), "on the same disk, so that the move is one step"
    assert temporary.name.startswith(".x.json."), "hidden, so that nobody reads it"
    assert (place.read_bytes(), os.listdir(place.parent)) == (b"two", ["x.json"])


def test_what_is_written_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, move = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (done.append("sync"), sync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda source, target: (done.append("move"), move(source, target)))
    write_file(tmp_path / "x", b"y")
    assert done == ["sync", "move"]
