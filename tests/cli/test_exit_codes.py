"""How the command ends, in a process of its own: 0, 1, 2, 3, 4, and never with a traceback unasked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.commands import ROOT, repository, run, spawn
from safe_remote_code.cli import audit as audit_module


def test_help_documents_the_exit_codes(tmp_path: Path) -> None:
    done = spawn("--help", cwd=tmp_path)
    assert done.returncode == 0
    for line in (
        "0  clean",
        "1  findings",
        "2  wrong usage",
        "3  the code could not be fetched",
        "4  an internal error",
    ):
        assert line in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 2), (("audit",), 2), (("--no-such-option",), 2), (("no-such-command",), 2), (("audit", "plain"), 0),
        (("audit", "plain", "--policy", "no-such-policy"), 2), (("audit", "plain", "--format", "xml"), 2),
        (("audit", "./no-such-folder"), 1), (("audit", "no/such-repository"), 3), (("audit", "a b"), 1),
        (("verify", "plain"), 1), (("pin", "plain"), 0), (("--version",), 0), (("policy",), 2),
        (("audit", "plain", "--output", "no/such/folder/report"), 2),
    ],
)  # fmt: skip
def test_the_exit_code_says_who_must_act(arguments: tuple[str, ...], code: int, tmp_path: Path) -> None:
    repository(tmp_path / "plain")
    done = spawn(*arguments, cwd=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    if code:
        assert done.stderr.strip()
    if code in (2, 3):
        assert not done.stdout


def test_an_internal_error_is_one_line_and_a_hint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(audit_module, "examine", lambda *_: 1 / 0)
    repository(tmp_path / "plain")
    result = run("audit", tmp_path / "plain")
    assert result.exit_code == 4
    assert result.stderr.startswith("internal error: ZeroDivisionError")
    assert "--debug" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in run("--debug", "audit", tmp_path / "plain").stderr


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m safe_remote_code policy show default --names | head -n 1; echo ${{PIPESTATUS[0]}}"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["policy default", "141"]


@pytest.mark.parametrize(
    "arguments",
    [("audit", "plain"), ("audit", "plain", "--format", "json"), ("pin", "plain"), ("--help",), ("pin", "--help"), ("--version",)],
)
def test_output_that_cannot_be_written_is_one_error_and_no_bug(arguments: tuple[str, ...], tmp_path: Path) -> None:
    repository(tmp_path / "plain")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "safe_remote_code", *arguments], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, (tmp_path / "remote-code.lock").exists()) == (2, False)
    first, remedy = done.stderr.splitlines()
    assert first == "error: standard output: cannot be written: No space left on device [document]"
    assert remedy.startswith("  To continue: ")


def test_another_error_of_the_system_is_still_a_bug(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(audit_module, "examine", fails)
    result = run("audit", repository(tmp_path / "plain"))
    assert (result.exit_code, result.stderr.startswith("internal error: OSError")) == (4, True)


def test_an_interrupt_ends_it_without_a_traceback(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "policy.toml")  # reading it blocks until somebody writes
    process = subprocess.Popen(
        [sys.executable, "-m", "safe_remote_code", "policy", "check", "policy.toml"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode in (2, 130)
    assert "Traceback" not in stderr


def test_a_terminal_without_unicode_gets_escapes(tmp_path: Path) -> None:
    repository(tmp_path / "plain")
    done = spawn("explain", "ungranted-name", cwd=tmp_path, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert "\\u2026" in done.stdout
