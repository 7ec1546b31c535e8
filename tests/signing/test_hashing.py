"""Whole trees: every file once, by content, and nothing from outside; `verify --full` against the Hub's names."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from cli.commands import repository, run
from safe_remote_code.errors import FetchError, RefusedError
from safe_remote_code.fetch.tree import TreeFile, hash_files, list_tree


def test_every_file_is_hashed_once_whatever_its_size(tmp_path: Path) -> None:
    contents = {f"d{size % 3}/f{size}": os.urandom(size) for size in (0, 1, 1024 * 1024 - 1, 1024 * 1024, 1024 * 1024 + 1, 3 * 1024 * 1024 + 7)}
    for path, data in contents.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    files = list_tree(str(tmp_path))
    assert [file.path for file in files] == sorted(contents)
    told: list[str] = []
    digests = hash_files(files, workers=3, progress=lambda file: told.append(file.path))
    assert digests == {path: hashlib.sha256(data).hexdigest() for path, data in contents.items()}
    assert sorted(told) == sorted(contents)
    git = hash_files(files, lambda _: "git")
    assert git["d0/f0"] == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", "git hash-object of nothing"
    blake = hash_files(files, lambda _: "blake2b")
    assert blake == {path: hashlib.blake2b(data).hexdigest() for path, data in contents.items()}


def test_a_file_that_changes_between_listing_and_hashing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 10)
    files = list_tree(str(tmp_path))
    (tmp_path / "a").write_bytes(b"x" * 11)
    with pytest.raises(RefusedError, match="changed while"):
        hash_files(files)
    (tmp_path / "a").unlink()
    with pytest.raises(FetchError):
        hash_files(files)
    (tmp_path / "a").symlink_to("/etc/hostname")
    with pytest.raises(FetchError):
        hash_files(files)
    with pytest.raises(FetchError):
        list_tree(str(tmp_path / "absent"))


def test_no_file_is_no_work() -> None:
    assert hash_files(()) == {}
    assert list(hash_files([TreeFile(path="x", real=os.path.realpath(__file__), size=os.stat(__file__).st_size)])) == ["x"]


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A snapshot folder as the Hub's client makes it, whose code is pinned."""
    monkeypatch.chdir(tmp_path)
    repo = tmp_path / "models--o--m"
    plain = repository(tmp_path / "plain")
    (plain / "model.safetensors").write_bytes(b"w" * 100_000)
    snapshot = repo / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (repo / "blobs").mkdir()
    for path in plain.iterdir():
        data = path.read_bytes()
        large = path.suffix == ".safetensors"
        name = hashlib.sha256(data).hexdigest() if large else hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        (repo / "blobs" / name).write_bytes(data)
        (snapshot / path.name).symlink_to(f"../../blobs/{name}")
    assert run("pin", snapshot).exit_code == 0
    return snapshot


def test_every_file_of_a_cache_is_what_its_name_says(cached: Path) -> None:
    result = run("verify", cached, "--full")
    assert (result.exit_code, "all 3 files" in result.stdout) == (0, True)


@pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
def test_a_damaged_file_of_a_cache_is_named(path: str, cached: Path) -> None:
    place = (cached / path).resolve()
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 1
    place.write_bytes(data)
    result = run("verify", cached, "--full")
    assert (result.exit_code, f"downloaded: {path}" in result.stderr) == (1, True)


def test_a_file_that_nobody_vouches_for_is_not_verified(cached: Path) -> None:
    (cached / "extra.bin").write_bytes(b"x")
    result = run("verify", cached, "--full")
    assert (result.exit_code, "nothing says what these files should be: extra.bin" in result.stderr) == (1, True)
    assert run("verify", cached).exit_code == 0, "the code is as it was pinned"


def test_a_plain_folder_needs_a_signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    repository(tmp_path / "plain")
    assert run("pin", "plain").exit_code == 0
    result = run("verify", "plain", "--full")
    assert (result.exit_code, "config.json" in result.stderr) == (1, True)
