"""Ports, names, programs and folders, worked out without starting anything."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from safe_remote_code.cli.ports import connect_ports, listen_ports
from safe_remote_code.launch import Wishes
from safe_remote_code.launch.environment import added, kept_names
from safe_remote_code.launch.grants import hub_cache
from safe_remote_code.launch.namespaces import namespace_command
from safe_remote_code.launch.program import _split
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
