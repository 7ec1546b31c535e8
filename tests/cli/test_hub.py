"""`pin`, `verify` and `audit` of a Hub repository, with the real client against a Hub on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.commands import CONFIG, PLAIN, ROOT
from hub.server import HubServer, hub
from safe_remote_code.lockfile import LockedPackage, read_lock

FILES = {"config.json": json.dumps(CONFIG), "modeling_plain.py": PLAIN}
CHANGED = {**FILES, "modeling_plain.py": PLAIN.replace("math.sqrt(x)", "math.sqrt(x) + 1")}
NAME = "owner/plain"


@pytest.fixture
def server() -> Iterator[HubServer]:
    with hub() as running:
        yield running


class _Machine:
    """A home folder, a working folder, and the command in processes of its own."""

    def __init__(self, server: HubServer, folder: Path) -> None:
        self.server, self.folder = server, folder

    def run(self, *arguments: str, offline: bool = False, home: str = "home") -> subprocess.CompletedProcess[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "XDG_"))}
        place = self.folder / home
        env = {
            **kept, "PYTHONPATH": str(ROOT), "HOME": str(place), "XDG_CACHE_HOME": str(place / "cache"),
            "HF_HOME": str(place / "hf"), "HF_ENDPOINT": self.server.url, "HF_HUB_OFFLINE": "1" if offline else "0",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1",
        }  # fmt: skip
        return subprocess.run(
            [sys.executable, "-m", "safe_remote_code", *arguments],
            cwd=self.folder, env=env, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    @property
    def package(self) -> LockedPackage:
        (package,) = read_lock(self.folder / "remote-code.lock").packages
        return package


@pytest.fixture
def machine(server: HubServer, tmp_path: Path) -> _Machine:
    return _Machine(server, tmp_path)


def _asked(server: HubServer) -> int:
    """Requests about our repository; the client also asks the Hub about itself, whatever one does."""
    return sum(NAME in request.path for request in server.log)


def test_pin_resolves_the_branch_to_a_commit(server: HubServer, machine: _Machine) -> None:
    commit = server.commit(NAME, FILES)
    done = machine.run("pin", NAME)
    assert done.returncode == 0, done.stderr
    assert (machine.package.source, machine.package.commit) == (f"hub:{NAME}", commit)
    assert f"pinned: hub:{NAME} @ {commit}" in done.stdout


def test_pin_takes_the_revision_that_was_asked_for(server: HubServer, machine: _Machine) -> None:
    first = server.commit(NAME, FILES)
    server.tag(NAME, "v1", first)
    server.commit(NAME, CHANGED)
    assert machine.run("pin", NAME, "--revision", "v1").returncode == 0
    assert machine.package.commit == first


def test_a_branch_that_moved_is_refused_then_shown_and_replaced(server: HubServer, machine: _Machine) -> None:
    first = server.commit(NAME, FILES)
    machine.run("pin", NAME)
    second = server.commit(NAME, CHANGED)
    refused = machine.run("pin", NAME)
    assert refused.returncode == 1
    assert f"safe-remote-code pin {NAME} --update" in refused.stderr
    assert machine.package.commit == first
    updated = machine.run("pin", NAME, "--update")
    assert updated.returncode == 0
    assert "+        return math.sqrt(x) + 1" in updated.stdout
    assert f"commit: {first} -> {second}" in updated.stdout
    assert machine.package.commit == second


def test_on_another_machine_the_old_text_comes_from_the_pinned_commit(server: HubServer, machine: _Machine) -> None:
    server.commit(NAME, FILES)
    machine.run("pin", NAME)
    server.commit(NAME, CHANGED)
    updated = machine.run("pin", NAME, "--update", home="elsewhere")
    assert updated.returncode == 0, updated.stderr
    assert "-        return math.sqrt(x)\n" in updated.stdout


def test_the_same_code_at_another_commit_is_unchanged(server: HubServer, machine: _Machine) -> None:
    first = server.commit(NAME, FILES)
    machine.run("pin", NAME)
    second = server.commit(NAME, {**FILES, "README.md": "words"})
    assert "unchanged" in machine.run("pin", NAME).stdout
    assert machine.package.commit == first
    assert machine.run("pin", NAME, "--update").returncode == 0
    assert machine.package.commit == second


def test_verify_checks_the_cache_at_the_pinned_commit_and_asks_no_server(server: HubServer, machine: _Machine) -> None:
    server.commit(NAME, FILES)
    machine.run("pin", NAME)
    server.commit(NAME, CHANGED)
    before = _asked(server)
    done = machine.run("verify", NAME)
    assert done.returncode == 0, done.stderr
    assert "  ok       modeling_plain.py" in done.stdout
    assert _asked(server) == before


def test_verify_sees_a_poisoned_cache(server: HubServer, machine: _Machine) -> None:
    server.commit(NAME, FILES)
    machine.run("pin", NAME)
    (cached,) = (machine.folder / "home" / "hf").rglob("snapshots/*/modeling_plain.py")
    poisoned = cached.resolve()
    poisoned.chmod(0o644)
    poisoned.write_text(PLAIN + "x = 1\n")
    done = machine.run("verify", NAME)
    assert done.returncode == 1
    assert "  changed  modeling_plain.py" in done.stdout


def test_verify_without_the_cache_could_not_check(server: HubServer, machine: _Machine) -> None:
    server.commit(NAME, FILES)
    machine.run("pin", NAME)
    assert machine.run("verify", NAME, home="elsewhere").returncode == 3


def test_pin_from_the_cache_asks_no_server(server: HubServer, machine: _Machine) -> None:
    server.commit(NAME, FILES)
    machine.run("pin", NAME)
    before = _asked(server)
    assert "unchanged" in machine.run("pin", NAME, "--local-files-only").stdout
    assert "unchanged" in machine.run("pin", NAME, offline=True).stdout
    assert _asked(server) == before


def test_a_repository_that_is_not_there_or_closed_is_a_failed_fetch(server: HubServer, machine: _Machine) -> None:
    absent = machine.run("pin", "owner/absent")
    assert absent.returncode == 3
    assert "no such repository" in absent.stderr
    server.commit(NAME, FILES)
    server.gate(NAME, tokens=["secret"])
    gated = machine.run("pin", NAME)
    assert gated.returncode == 3
    assert "gated" in gated.stderr
    assert machine.run("pin", NAME, "--revision", "no-such-branch").returncode == 3
    assert not (machine.folder / "remote-code.lock").exists()


def test_audit_places_findings_on_the_page_of_the_commit(server: HubServer, machine: _Machine) -> None:
    commit = server.commit(NAME, {**FILES, "modeling_plain.py": "import os\nos.fork()\n" + PLAIN})
    done = machine.run("audit", f"hub:{NAME}", "--format", "sarif")
    assert done.returncode == 1, done.stderr
    (result,) = [item for item in json.loads(done.stdout)["runs"][0]["results"] if item["level"] == "error"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == f"https://huggingface.co/{NAME}/blob/{commit}/modeling_plain.py"
