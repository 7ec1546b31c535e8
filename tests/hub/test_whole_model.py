"""`verify --full` and `verify --signature` of a model in the Hub's cache, downloaded by the real client."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

pytest.importorskip("huggingface_hub")
pytest.importorskip("cryptography")

from safe_remote_code.signing.keys import generate

from .client import environment, run_client
from .server import HubServer, hub
from .test_guarded import REPO, pin
from .tiny import tiny_repository

ROOT = Path(__file__).resolve().parents[2]


class Cached(NamedTuple):
    """A user whose cache holds the pinned commit, and what the server has."""

    server: HubServer
    home: Path
    commit: str

    def say(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """`safe-remote-code WORDS`, with the server asked to hang up on whoever calls."""
        settings = {**environment("http://127.0.0.1:9", self.home), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "safe_remote_code", *map(str, words)]
        return subprocess.run(command, env=settings, cwd=self.home, capture_output=True, text=True, timeout=120, check=False)

    def snapshot(self) -> Path:
        """The folder of the commit in the cache: links to content."""
        (found,) = self.home.rglob(f"snapshots/{self.commit}")
        return found

    def blob(self, name: str) -> Path:
        return Path(os.path.realpath(self.snapshot() / name))


@pytest.fixture
def cached(tmp_path: Path) -> Iterator[Cached]:
    with hub() as server:
        commit = server.commit(REPO, tiny_repository("A"))
        pin(server, tmp_path, REPO)
        fetched = "from huggingface_hub import snapshot_download\nresult = snapshot_download('acme/tiny', revision=commit)"
        assert run_client(server.url, tmp_path, f"commit = {commit!r}\n{fetched}").value
        yield Cached(server, tmp_path, commit)


def test_every_file_is_verified_by_what_the_cache_names(cached: Cached) -> None:
    done = cached.say("verify", "--full", REPO)
    assert done.returncode == 0, done.stderr
    count = sum(path.is_file() for path in cached.snapshot().rglob("*"))
    assert f"all {count} files" in done.stdout and count >= 5


def test_a_damaged_weight_is_named_by_full_only(cached: Cached) -> None:
    blob = cached.blob("model.safetensors")
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(bytes(data))
    assert cached.say("verify", REPO).returncode == 0, "the code is as it was pinned"
    done = cached.say("verify", "--full", REPO)
    assert done.returncode == 1 and "changed since they were downloaded: model.safetensors" in done.stderr


def test_a_file_that_nothing_vouches_for_is_named(cached: Cached) -> None:
    (cached.snapshot() / "extra.bin").write_bytes(b"x")
    done = cached.say("verify", "--full", REPO)
    assert done.returncode == 1 and "nothing says what these files should be: extra.bin" in done.stderr


def test_a_signature_of_the_model_is_checked_in_the_cache(cached: Cached, tmp_path: Path) -> None:
    key = generate("ecdsa-p256")
    (tmp_path / "k.pub").write_text(key.public.pem)
    (tmp_path / "k.pem").write_bytes(key.pem(None))
    (tmp_path / "k.pem").chmod(0o600)
    signed = cached.say("sign", cached.snapshot(), "--oms", "--key", "k.pem", "--signature", "model.sig")
    assert signed.returncode == 0, signed.stderr
    words = ("verify", REPO, "--signature", "model.sig", "--key", "k.pub", "--full")
    assert cached.say(*words).returncode == 0
    blob = cached.blob("helpers_tiny.py")
    blob.chmod(0o644)
    blob.write_text("MARK = 'other'\n")
    done = cached.say(*words)
    assert done.returncode == 1 and "helpers_tiny.py" in done.stderr


def test_what_was_not_downloaded_is_said_with_the_remedy(cached: Cached) -> None:
    (cached.snapshot()).rename(cached.home / "gone")
    done = cached.say("verify", "--full", REPO)
    assert done.returncode != 0 and "hub:acme/tiny" in done.stderr
    assert "not in the local cache" in done.stderr and "download" in done.stderr
