"""`audit --run`: what code tries is told, and comes to nothing; honest code tries nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from attack import fixture as attacks

pytestmark = pytest.mark.torch
ROOT = Path(__file__).resolve().parents[2]
BODY = ROOT / "fixtures" / "escapes"


def audited(*words: str, **extra: str) -> tuple[int, Any]:
    """Exit code and JSON report of a real `safe-remote-code audit --run`."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "safe_remote_code", "audit", "--run", "--format", "json", *words],
        capture_output=True, text=True, timeout=300, env={**os.environ, "PYTHONPATH": str(ROOT), **extra},
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)["sources"][0]


def tried(source: Any) -> list[Any]:
    return [item for item in source["findings"] if item["rule"] == "detonation" and item["standing"] == "refused"]


@pytest.mark.parametrize("name", ["decoder", "encoder", "vision_language"])
def test_honest_code_tries_nothing(fixtures: Path, name: str) -> None:
    code, source = audited(str(fixtures / "models" / name))
    assert (code, tried(source)) == (0, [])
    driven = {item["message"] for item in source["findings"] if "could not be driven" in item["message"]}
    assert all("visual tokens" in text or "pixel_values" in text for text in driven), driven


@pytest.mark.parametrize(
    ("stage", "code", "capability", "event"),
    [
        ("import", "open('@@CANARY@@', 'w').close()", "file-write", "open"),
        ("forward", "open('@@SECRET@@').read()", "file-read", "open"),
        ("import", "__import__('socket').create_connection(('127.0.0.1', @@PORT@@), 2)", "network", "socket"),
        ("forward", "__import__('subprocess').run(['/bin/sh', '-c', 'echo > @@CANARY@@'])", "process", "subprocess.Popen"),
        ("import", "__import__('os').system('echo > @@CANARY@@')", "process", "os.system"),
        ("forward", "__import__('ctypes').CDLL(None).unlink(b'@@SECRET@@')", "native-code", "ctypes"),
    ],
)
def test_what_hostile_code_tries_is_told_and_comes_to_nothing(
    stage: str, code: str, capability: str, event: str, tmp_path: Path
) -> None:
    control = (ROOT / "tests" / "attack" / "control" / "benign.py").read_text().replace("benign", "trial")
    indent = "" if stage == "import" else "        "
    attempt = f"{indent}try:\n{indent}    {code}\n{indent}except Exception:\n{indent}    pass\n"
    if stage == "import":
        control += attempt
    else:
        control = control.replace("        return self.proj", attempt + "        return self.proj")
    (tmp_path / "trial.py").write_text(control)
    item = attacks.read(tmp_path / "trial.py")
    (tmp_path / "decoy").mkdir()
    (tmp_path / "decoy" / "secret.txt").write_text("decoy")
    listener = socket.create_server(("127.0.0.1", 0))
    tokens = attacks.Tokens(
        canary=str(tmp_path / "decoy" / "canary"), secret=str(tmp_path / "decoy" / "secret.txt"),
        port=listener.getsockname()[1],
    )  # fmt: skip
    attacks.write(item, tmp_path / "repo", tokens, after_pin=False)
    exit_code, source = audited(str(tmp_path / "repo"))
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.accept()
    listener.close()
    assert os.listdir(tmp_path / "decoy") == ["secret.txt"]
    found = [one for one in source["findings"] if one["rule"] == "detonation" and one["capability"] == capability]
    assert exit_code == 1
    assert any(f"tried at {stage}" in one["message"] and event in one["message"] for one in found), source["findings"]
    assert {one["path"] for one in found if one["message"].startswith("tried")} == {"modeling_escape.py"}


def test_an_exit_of_the_code_ends_its_stage_only(tmp_path: Path) -> None:
    item = attacks.read(ROOT / "tests" / "attack" / "control" / "benign.py")
    attacks.write(item, tmp_path / "repo", attacks.Tokens(canary="/x", secret="/x", port=1), after_pin=False)
    module = tmp_path / "repo" / "modeling_escape.py"
    module.write_text(module.read_text().replace("return self.proj", "raise SystemExit(0)\n        return self.proj"))
    _, source = audited(str(tmp_path / "repo"))
    assert any("forward AutoModel could not be driven: SystemExit" in one["message"] for one in source["findings"])


def test_a_worker_that_ends_itself_is_a_finding(tmp_path: Path) -> None:
    item = attacks.read(ROOT / "tests" / "attack" / "control" / "benign.py")
    attacks.write(item, tmp_path / "repo", attacks.Tokens(canary="/x", secret="/x", port=1), after_pin=False)
    module = tmp_path / "repo" / "modeling_escape.py"
    module.write_text(module.read_text() + "\n__import__('os')._exit(5)\n")
    code, source = audited(str(tmp_path / "repo"))
    assert code == 1
    assert any("ended early" in one["message"] and "exit code 5" in one["message"] for one in tried(source))


def test_the_other_formats_hold_it_too(tmp_path: Path) -> None:
    item = attacks.read(BODY / "builtins-open-write.py")
    attacks.write(item, tmp_path / "repo", attacks.Tokens(canary=str(tmp_path / "c"), secret="/x", port=1), after_pin=False)
    base = [sys.executable, "-m", "safe_remote_code", "audit", "--run", str(tmp_path / "repo")]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    sarif = json.loads(subprocess.run([*base, "--format", "sarif"], capture_output=True, text=True, env=env).stdout)
    assert any(result["ruleId"] == "detonation" for result in sarif["runs"][0]["results"])
    assert "detonation: tried at" in subprocess.run(base, capture_output=True, text=True, env=env).stdout
    assert not (tmp_path / "c").exists()


def test_the_command_itself_loads_nothing_that_runs_code(tmp_path: Path) -> None:
    from cli.commands import repository
    from cli.test_reach import _loaded, _reached

    repository(tmp_path / "plain")
    assert _reached(_loaded([], "audit", "--run", "plain", cwd=tmp_path)) == []
