"""What a program under the launcher can and cannot reach; how it starts and ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import venv
from pathlib import Path
from typing import Any

import pytest

from launch.installed import Installed


def attempts(installed: Installed, project: Path, tries: list[tuple[str, object]], *options: object, **extra: str) -> list[Any]:
    done = installed.run(*options, "--", installed.python, "grants.py", json.dumps(tries), cwd=project, **extra)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


def test_the_plain_command_reaches_its_modules_and_its_model_and_nothing_else(installed: Installed, project: Path) -> None:
    tries: list[tuple[str, object]] = [
        ("read", "grants.py"), ("read", "whereabouts.py"), ("read", "decoder/config.json"), ("read", "remote-code.lock"),
        ("read", ".env"), ("read", "../outside/secret"), ("read", "/etc/shadow"), ("read", os.path.expanduser("~/.netrc")),
        ("write", "new"), ("write", "decoder/new"), ("write", "grants.py"), ("write", "/tmp/safe-remote-code-new"),
        ("list", "../outside"), ("run", ["/bin/sh", "-c", "echo ran"]), ("connect", 9),
    ]  # fmt: skip
    found = attempts(installed, project, tries)
    assert all(text not in ("PermissionError", "FileNotFoundError") for text in found[:4])
    assert found[4:] == ["PermissionError"] * 3 + [found[7]] + ["PermissionError"] * 7
    assert found[7] in ("PermissionError", "FileNotFoundError")


def test_what_is_granted_works(installed: Installed, project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as other:
        port, forbidden = server.getsockname()[1], other.getsockname()[1]
        found = attempts(
            installed, project,
            [
                ("read", "../outside/secret"), ("write", "out/new"), ("read", "out/new"), ("connect", port),
                ("connect", forbidden), ("variable", "GIVEN"), ("variable", "HF_TOKEN"), ("variable", "HF_HUB_OFFLINE"),
                ("copy", ["grants.py", "out/copy.py"]),
            ],
            "--read", "../outside", "--write", "out", "--net", f"localhost:{port}", "--env", "GIVEN",
            GIVEN="given", HF_TOKEN="hf_decoy",
        )  # fmt: skip
    assert found == ["decoy", "written", "x", "connected", "PermissionError", "given", None, "1", "copy.py"]


def test_a_program_that_is_granted_is_started_and_is_confined(installed: Installed, project: Path) -> None:
    tries: list[tuple[str, object]] = [
        ("run", ["/bin/cat", "grants.py"]), ("run", ["/bin/cat", ".env"]), ("run", ["/bin/sh", "-c", "echo ran"]),
    ]  # fmt: skip
    found = attempts(installed, project, tries, "--exec", "/bin/cat")
    assert found == [(project / "grants.py").read_text(), "", "PermissionError"]


def test_a_host_in_net_is_said_not_to_be_held(installed: Installed, project: Path) -> None:
    done = installed.run("--net", "example.org:443", "--", installed.python, "-c", "pass", cwd=project)
    assert "knows ports and no hosts: port 443 of every host can be reached, not only of example.org" in done.stderr


@pytest.mark.parametrize(("code", "expected"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 15)", 143)])
def test_it_leaves_with_the_exit_code_of_the_program(installed: Installed, project: Path, code: str, expected: int) -> None:
    assert installed.run("--", installed.python, "-c", code, cwd=project).returncode == expected


def test_arguments_and_input_pass_through(installed: Installed, project: Path) -> None:
    command = installed.command("run", "--", installed.python, "-c", "import sys; print(sys.argv, input())", "-x", "--write", "y")
    done = subprocess.run(command, cwd=project, env=installed.environment(), input="text\n", capture_output=True, text=True, timeout=60)
    assert done.stdout == "['-c', '-x', '--write', 'y'] text\n", done.stderr


def test_a_script_is_started_by_the_python_that_it_names(installed: Installed, project: Path) -> None:
    script = project / "tool"
    script.write_text(f"#!{installed.python} -B\nimport sys, whereabouts; print(sys.argv, sys.flags.dont_write_bytecode)\n")
    script.chmod(0o755)
    done = installed.run("--", "./tool", "a", cwd=project)
    assert done.stdout.split() == ["['./tool',", "'a']", "1"] or done.stdout.split() == [f"['{script}',", "'a']", "1"], done.stderr


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python in whose environment nothing is installed."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True)
    return str(folder / "bin" / "python")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["/bin/sh", "-c", "true"], "not a Python"),
        (["no-such-program"], "no such program"),
        (["PYTHON", "-S", "-c", "pass"], "the guard does not come up"),
        (["PYTHON", "-IS", "grants.py"], "the guard does not come up"),
        (["BARE", "-c", "pass"], "the guard does not come up"),
        (["PYTHON", "no-such-script.py"], "no such script"),
    ],
)
def test_what_cannot_be_guarded_is_not_started(
    installed: Installed, project: Path, bare: str, command: list[str], said: str
) -> None:
    words = [{"PYTHON": installed.python, "BARE": bare}.get(word, word) for word in command]
    done = installed.run("--", *words, cwd=project)
    assert done.returncode in (1, 3) and said in done.stderr and "To continue:" in done.stderr


def test_a_python_that_is_a_shell_script_is_called_one_and_the_real_one_is_named(
    installed: Installed, project: Path, tmp_path: Path
) -> None:
    shim = tmp_path / "python"
    shim.write_text(f'#!/usr/bin/env bash\nexec "{installed.python}" "$@"\n')
    shim.chmod(0o755)
    done = installed.run("--", str(shim), "grants.py", cwd=project)
    assert done.returncode == 1
    assert f"{shim}: a script that " in done.stderr and "bash runs, and no Python" in done.stderr
    assert f"To continue: start Python itself: safe-remote-code run -- {installed.python} SCRIPT" in done.stderr


@pytest.mark.parametrize("flags", [(), ("-I",), ("-E",), ("-s", "-B"), ("-X", "utf8"), ("-W", "ignore")])
def test_flags_of_the_interpreter_keep_the_guard(installed: Installed, project: Path, flags: tuple[str, ...]) -> None:
    code = "import sys; print('safe_remote_code.startup' in sys.modules, 'transformers' in sys.modules)"
    done = installed.run("--", installed.python, *flags, "-c", code, cwd=project)
    assert done.stdout.split() == ["True", "False"], done.stderr


@pytest.mark.parametrize("options", [("--write", "~"), ("--read", "/"), ("--read", "no-such-file"), ("--exec", "no-such-file"), ("--net", "example.org"),
                                     ("--net", "none", "--net", "a:1"), ("--listen", "99999"), ("--net", "a:0")])  # fmt: skip
def test_grants_that_make_no_sense_are_refused(installed: Installed, project: Path, options: tuple[str, ...]) -> None:
    words = [os.path.expanduser(word) for word in options]
    done = installed.run(*words, "--", installed.python, "-c", "pass", cwd=project)
    assert done.returncode in (1, 2) and done.stderr.startswith("error:")


def test_signals_reach_the_program_and_nothing_is_left(installed: Installed, project: Path) -> None:
    code = (
        "import os, signal, subprocess, sys, tempfile, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        "print(os.getpid(), child.pid, tempfile.gettempdir(), flush=True)\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "time.sleep(600)\n"
    )
    process = subprocess.Popen(
        installed.command("run", "--", installed.python, "-c", code), cwd=project, env=installed.environment(), text=True,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    first, second, folder = process.stdout.readline().split()
    assert os.path.isdir(folder)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 5
    process.stdout.close()
    assert not os.path.exists(folder)
    assert not any(os.path.exists(f"/proc/{number}") for number in (first, second))


def test_if_the_launcher_is_killed_the_program_dies(installed: Installed, project: Path) -> None:
    process = subprocess.Popen(
        installed.command("run", "--", installed.python, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"),
        cwd=project, env=installed.environment(), text=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    program = process.stdout.readline().strip()
    process.kill()
    process.wait(30)
    process.stdout.close()
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{program}") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not os.path.exists(f"/proc/{program}")


def test_descriptors_are_not_inherited(installed: Installed, project: Path) -> None:
    with open(project.parent / "outside" / "secret") as stream:
        command = installed.command("run", "--", installed.python, "-c", "import os; print(sorted(os.listdir('/proc/self/fd')))")
        done = subprocess.run(
            command, cwd=project, env=installed.environment(), capture_output=True, text=True, timeout=60,
            pass_fds=[stream.fileno()],
        )  # fmt: skip
    assert done.stdout.strip() == "['0', '1', '2', '3']", done.stderr


def test_the_status_is_told(installed: Installed, project: Path) -> None:
    done = installed.run("--status", "--", installed.python, "-c", "pass", cwd=project)
    assert "landlock-files     enforced (threads: process)" in done.stderr
    assert "seccomp            enforced" in done.stderr and "descriptors        enforced" in done.stderr


def test_namespaces_without_bwrap_are_refused(installed: Installed, project: Path) -> None:
    done = installed.run("--namespaces", "--", installed.python, "-c", "pass", cwd=project, PATH="/nonexistent")
    assert done.returncode == 1 and "needs bwrap (bubblewrap), which is not installed" in done.stderr


@pytest.mark.torch
def test_the_self_check_proves_guard_and_sandbox(installed: Installed, tmp_path: Path) -> None:
    done = installed.raw(installed.command("self-check", "--json"), cwd=tmp_path)
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["passed"], (done.stdout, done.stderr)
    names = {item["name"] for item in found["checks"] if item["passed"]}
    assert {"reading a file outside is refused", "connecting to a port is refused", "starting a program is refused",
            "guard and sandbox in a worker (spawn)", "guard and sandbox in a Python started as a program",
            "transformers' loader is replaced by the guard"} <= names  # fmt: skip


def test_the_self_check_fails_where_there_is_no_guard(installed: Installed, bare: str, tmp_path: Path) -> None:
    done = installed.raw(installed.command("self-check", "--python", bare), cwd=tmp_path)
    assert done.returncode == 1 and "the guard does not come up" in done.stderr
