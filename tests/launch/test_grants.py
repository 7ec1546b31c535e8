"""Ports, names, programs and folders, worked out without starting anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from safe_remote_code.cli.ports import connect_ports, listen_ports
from safe_remote_code.launch import Wishes
from safe_remote_code.launch.environment import added, kept_names
from safe_remote_code.launch.grants import _own_modules, hub_cache
from safe_remote_code.launch.namespaces import namespace_command
from safe_remote_code.launch.program import Program, _ask, _split
from safe_remote_code.sandbox import ANY_PORT


@pytest.mark.parametrize(
    ("texts", "ports"),
    [
        ([], ()), (["none"], ()), (["localhost:80"], (80,)), (["127.0.0.1:80-82", "[::1]:9"], (9, 80, 81, 82)),
        (["localhost:*", "localhost:80"], (ANY_PORT,)), (["*:443"], (443,)), (["huggingface.co:443"], (53, 443)),
    ],
)  # fmt: skip
def test_net_is_ports(texts: list[str], ports: tuple[int, ...]) -> None:
    assert connect_ports(texts)[0] == ports


@pytest.mark.parametrize("text", ["80", ":80", "host:", "host:x", "host:0", "host:65536", "host:9-8", "host:1-2-3", "host:-1", "host:٣"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError):
        connect_ports([text])


def test_a_server_may_leave_its_port_to_the_kernel() -> None:
    assert listen_ports(["0", "8080"]) == (0, 8080)


def test_tokens_and_unknown_variables_are_not_kept() -> None:
    environment = dict.fromkeys(
        ["PATH", "LC_ALL", "OMP_NUM_THREADS", "HF_HOME", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "LD_PRELOAD",
         "LD_AUDIT", "PYTHONSTARTUP", "PYTHONHOME", "PYTHONINSPECT", "SSH_AUTH_SOCK", "WANDB_API_KEY", "OPENAI_API_KEY", "path"], "x"
    )  # fmt: skip
    assert kept_names(environment, ()) == ("HF_HOME", "LC_ALL", "OMP_NUM_THREADS", "PATH")
    assert "HF_TOKEN" in kept_names(environment, ["HF_TOKEN"])


def test_what_the_guard_needs_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = added(Wishes(policy="own.toml", lockfile=Path("a.lock")), "/folder")
    assert found["SAFE_REMOTE_CODE_POLICY"] == str(tmp_path / "own.toml")
    assert found["SAFE_REMOTE_CODE_LOCKFILE"] == str(tmp_path / "a.lock")
    assert added(Wishes(policy="strict"), "/folder")["SAFE_REMOTE_CODE_POLICY"] == "strict"


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        (["x.py", "-S"], []), (["-I", "x.py"], ["-I"]), (["-W", "ignore", "x.py"], ["-W", "ignore"]), (["-Wignore", "x.py"], ["-Wignore"]),
        (["-X", "utf8", "-c", "pass"], ["-X", "utf8"]), (["-Bc", "pass"], []), (["-BW", "error", "-m", "x"], ["-BW", "error"]),
        (["--check-hash-based-pycs", "always", "x.py"], ["--check-hash-based-pycs", "always"]), (["-"], []), ([], []),
    ],
)  # fmt: skip
def test_flags_end_where_the_program_begins(arguments: list[str], flags: list[str]) -> None:
    assert _split(arguments) == (flags, arguments[len(flags) :])


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({"HF_HUB_CACHE": "/c"}, "/c"), ({"HF_HOME": "/h"}, "/h/hub"), ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
        ({"HUGGINGFACE_HUB_CACHE": "/o", "HF_HOME": "/h"}, "/o"),
    ],
)  # fmt: skip
def test_the_cache_is_where_the_client_has_it(environment: dict[str, str], place: str) -> None:
    assert hub_cache(environment) == place


def test_namespaces_without_a_grant_have_no_network() -> None:
    command = namespace_command("/usr/bin/bwrap", ["python", "-m", "safe_remote_code", "run", "--", "x"], network=False)
    assert command[0] == "/usr/bin/bwrap" and command[-7:] == ["--", "python", "-m", "safe_remote_code", "run", "--", "x"]
    assert {"--unshare-net", "--unshare-pid", "--unshare-ipc", "--die-with-parent", "--new-session"} <= set(command)
    assert "--unshare-net" not in namespace_command("/usr/bin/bwrap", ["x"], network=True)


def test_links_that_lead_out_of_the_folder_of_the_program_are_not_granted(tmp_path: Path) -> None:
    """A cloned repository may hold a link to a key, or to a folder with one Python file in it."""
    clone, victim = tmp_path / "clone", tmp_path / "victim"
    (clone / "package").mkdir(parents=True)
    (victim / "code").mkdir(parents=True)
    for path in (clone / "main.py", clone / "package" / "__init__.py", victim / "code" / "x.py", victim / "id_rsa"):
        path.touch()
    (clone / "notes.py").symlink_to(victim / "id_rsa")
    (clone / "data").symlink_to(victim / "code")
    (clone / "inside").symlink_to(clone / "package")
    program = Program(
        arguments=("python", "main.py"), script=str(clone / "main.py"), folder=str(clone), executables=(), prefixes=(), libraries=()
    )
    assert {Path(path).name for path in _own_modules(program)} == {"main.py", "package", "inside"}


def test_nothing_of_the_current_folder_runs_when_python_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question is put outside of the sandbox, with the whole environment."""
    canary = tmp_path / "canary"
    (tmp_path / "sysconfig.py").write_text(f"open({str(canary)!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-c", "import sysconfig"], check=False)
    assert canary.exists(), "so it would run"
    canary.unlink()
    answer = _ask(sys.executable, ["-B"], dict(os.environ))
    assert str(tmp_path) not in answer["path"] and answer["libraries"] and not canary.exists()


def test_nothing_of_the_current_folder_runs_before_the_namespaces(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')\n")
    seen = tmp_path / "seen"
    bwrap = tmp_path / "bin" / "bwrap"
    bwrap.parent.mkdir()
    bwrap.write_text(f'#!/bin/sh\necho "$@" > {seen}\n')
    bwrap.chmod(0o755)
    subprocess.run(
        [sys.executable, "-P", "-m", "safe_remote_code", "run", "--namespaces", "--", "python", "x.py"], cwd=tmp_path,
        env={**os.environ, "PATH": f"{bwrap.parent}:{os.environ['PATH']}"}, check=True,
    )  # fmt: skip
    assert f"-- {sys.executable} -P -m safe_remote_code run" in seen.read_text() and not (tmp_path / "canary").exists()
