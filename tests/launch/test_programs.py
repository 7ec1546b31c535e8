"""Serving, training and processes under the launcher, each proven to be guarded, with native results."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from launch.installed import Installed

pytestmark = pytest.mark.torch
GUARDED = {"guard": True, "seccomp": True, "secret": None}


def native(installed: Installed, *words: object, cwd: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    done = installed.raw(
        [installed.python, *map(str, words)], cwd=cwd, HF_MODULES_CACHE=str(cwd.parent / "native-modules"), **extra
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def served(command: list[str], installed: Installed, project: Path) -> dict[str, Any]:
    environment = installed.environment(HF_MODULES_CACHE=str(project.parent / "native-modules"))
    server = subprocess.Popen(command, cwd=project, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert server.stdout is not None and server.stderr is not None
        port = server.stdout.readline().strip()
        assert port, server.stderr.read()
        request = urllib.request.Request(f"http://127.0.0.1:{port}", data=b"The cat sat on the mat")
        with urllib.request.urlopen(request, timeout=60) as reply:
            return dict(json.load(reply))
    finally:
        server.terminate()
        server.communicate(timeout=30)


def test_a_server_serves_on_the_granted_port(installed: Installed, project: Path) -> None:
    words = [installed.python, "serve.py", "decoder", "0"]
    ours = served(installed.command("run", "--listen", "0", "--", *words), installed, project)
    theirs = served(words, installed, project)
    assert ours["tokens"] == theirs["tokens"]
    assert {key: ours[key] for key in GUARDED} == GUARDED
    assert not theirs["guard"] and not theirs["seccomp"] and theirs["secret"] == "decoy"


def test_a_server_on_another_port_is_refused(installed: Installed, project: Path) -> None:
    done = installed.run("--listen", "18080", "--", installed.python, "serve.py", "decoder", "18081", cwd=project)
    assert done.returncode == 1 and "PermissionError" in done.stderr


def trained(out: Path, rank: int = 0) -> dict[str, Any]:
    return dict(json.loads((out / f"rank-{rank}.json").read_text()))


def test_training_and_resuming_are_native_and_write_only_below_their_folder(installed: Installed, project: Path) -> None:
    native(installed, "train.py", "decoder", "../native", cwd=project)
    before = sorted(str(path) for path in project.parent.rglob("*") if "native" not in path.parts)
    words = ["--write", "out", "--", installed.python, "train.py", "decoder", "out"]
    done = installed.run(*words, cwd=project)
    assert done.returncode == 0, done.stderr[-3000:]
    ours, theirs = trained(project / "out"), trained(project.parent / "native")
    assert ours["weights"] == theirs["weights"]
    assert {key: ours[key] for key in GUARDED} == GUARDED
    new = {str(path) for path in project.parent.rglob("*") if "native" not in path.parts} - set(before)
    assert {Path(path).relative_to(project).parts[0] for path in new} == {"out"}
    assert (project / "out" / "checkpoint-4" / "model.safetensors").is_file()
    done = installed.run(*words, "--resume", cwd=project)
    assert done.returncode == 0, done.stderr[-3000:]
    assert trained(project / "out")["weights"] == theirs["weights"]


def test_training_without_a_grant_cannot_write(installed: Installed, project: Path) -> None:
    done = installed.run("--", installed.python, "train.py", "decoder", "out", cwd=project)
    assert done.returncode == 1 and "PermissionError" in done.stderr
    assert not (project / "out").exists()


def test_torchrun_ranks_are_guarded_and_train_as_natively(installed: Installed, project: Path) -> None:
    ranks = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1", "--master-port"]
    native(installed, *ranks, "29611", "train.py", "decoder", "../native", cwd=project)
    done = installed.run(
        "--write", "out", "--net", "localhost:*", "--listen", "*", "--", installed.python, *ranks, "29612", "train.py",
        "decoder", "out", cwd=project,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    for rank in (0, 1):
        ours = trained(project / "out", rank)
        assert ours["weights"] == trained(project.parent / "native", rank)["weights"]
        assert {key: ours[key] for key in GUARDED} == GUARDED


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_pool_are_guarded(installed: Installed, project: Path, method: str) -> None:
    done = installed.run("--", installed.python, "workers.py", "pool", method, cwd=project)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [GUARDED] * 4


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_a_data_loader_are_guarded(installed: Installed, project: Path, method: str) -> None:
    words = ["--unsafe-unix-sockets", "--", installed.python, "workers.py", "loader", method]
    done = installed.run(*words, cwd=project, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [GUARDED] * 8


def test_tasks_of_ray_are_guarded(installed: Installed, project: Path) -> None:
    """Ray starts programs of its own; `make launch-ray` installs it and runs this."""
    found = importlib.util.find_spec("ray")
    if found is None or found.origin is None:
        pytest.skip("Ray is not installed")
    folder = Path(found.origin).parent
    words = ["--exec", folder / "core" / "src" / "ray", "--net", "localhost:*", "--listen", "*", "--unsafe-unix-sockets"]
    done = installed.run(
        *words, "--env", "RAY_*", "--", installed.python, "remote.py", cwd=project,
        PYTHONPATH=str(folder.parent), RAY_AUTH_MODE="disabled",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [GUARDED] * 2


def test_caches_are_as_before(installed: Installed, project: Path) -> None:
    """The Hub's token, beside the cache, is not readable although the cache of a locked repository is."""
    token = installed.home / "hf" / "token"
    token.parent.mkdir(exist_ok=True)
    token.write_text("hf_decoy")
    done = installed.run("--", installed.python, "grants.py", json.dumps([["read", str(token)]]), cwd=project)
    assert json.loads(done.stdout) == ["PermissionError"]
    os.unlink(token)
