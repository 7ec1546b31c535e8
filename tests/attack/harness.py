"""Runs one attack fixture in a throw-away folder and says whether its canary was hit.

    python -m tests.attack.harness FIXTURE [--mode native|guarded] [--off WALL ...]

A `Zygote` is a process with torch and transformers imported (driver.py); each run is a
fork of it, in mode `native` (stock transformers) or `guarded` (with
`safe_remote_code.installed(...)` around every stage; left again before the interpreter
ends, so that code deferred to the exit has to be held without it). In guarded mode the
repository is pinned first, by the command that a user would call.

A canary counts as hit if *this* process finds the file, the connection or the secret
text (in the log, in anything saved, or by the driver's word); a changed world can be
seen by the driver only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, final

from . import fixture as fixtures
from .fixture import Fixture, Tokens

Mode = Literal["native", "guarded"]

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("driver.py")
RUN_SECONDS = 120.0  # the slowest fixture (a C++ build) needs some 40 on a busy machine
START_SECONDS = 300.0
PIN_SECONDS = 60.0
WORKER_REPLY_SECONDS = 60
MAX_LOOT_BYTES = 1 << 20


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run of one fixture came to."""

    technique: str
    mode: Mode
    off: tuple[str, ...]
    canary_hit: bool
    stage: str | None
    error_stage: str | None = None
    error_type: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    ours: bool = False
    refusals: tuple[str, ...] = ()
    reached: tuple[str, ...] = ()
    exit_code: int | None = 0


@final
class Zygote:
    """A process that has imported torch and transformers, in a root folder of its own."""

    def __init__(self, mode: Mode, *, python: str = sys.executable, launched: bool = False) -> None:
        self.mode: Mode = mode
        self.python = python
        self.root = Path(tempfile.mkdtemp(prefix="attack-"))
        self.env = _environment(self.root)
        arguments = [python, "-P", str(DRIVER)] + ["--guarded"] * (mode == "guarded")
        if not launched:
            self.env["PYTHONPATH"] = str(ROOT)  # the walls of this very tree, wherever the interpreter has another
        if launched:
            arguments = _under_launcher(arguments, self.root)
            self.env["HOME"] = str(self.root)  # what holds a home is not granted; each run has one of its own
        self._process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.env, cwd=self.root
        )
        self.threads: int = self._reply(START_SECONDS)["ready"]

    def ask(self, request: dict[str, Any]) -> int | None:
        """The exit code of a child that does *request*; None if it ran out of time."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        code: int | None = self._reply(request["seconds"] + 30)["exit"]
        return code

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        shutil.rmtree(self.root, ignore_errors=True)

    def _reply(self, seconds: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            self._process.kill()
            raise RuntimeError(f"the {self.mode} driver gave no answer; see its output above")
        reply: dict[str, Any] = json.loads(line)
        return reply


@contextlib.contextmanager
def zygote(mode: Mode, *, python: str = sys.executable, launched: bool = False) -> Iterator[Zygote]:
    """A driver that is closed at the end; *launched*, under `safe-remote-code run` of *python* with nothing but the kernel."""
    started = Zygote(mode, python=python, launched=launched)
    try:
        yield started
    finally:
        started.close()


def run(host: Zygote, fixture: Fixture, *, off: Sequence[str] = (), worker: bool = False) -> Outcome:
    """Drives *fixture* through every stage in *host*, with the walls in *off* disabled; in a worker, if asked."""
    with _Folder(host, fixture) as folder:
        if host.mode == "guarded":
            fixtures.write(fixture, folder.repo, folder.tokens, after_pin=False)
            # With every wall of Python off, what the pin would refuse is the kernel's to hold.
            if not (set(fixtures.WALLS) <= set(off)) and (problem := folder.pin()) is not None:
                return _not_pinned(fixture, tuple(off), problem)
            folder.write_policy(off, worker=worker)
        fixtures.write(fixture, folder.repo, folder.tokens, after_pin=True)
        code = host.ask(folder.request())
        return folder.outcome(code, tuple(off))


@final
class _Folder:
    """The throw-away folder of one run, its decoy and its port."""

    def __init__(self, host: Zygote, fixture: Fixture) -> None:
        self.host, self.fixture = host, fixture
        # The same folder every time: the driver's libraries have read HF_HOME at import, and the kernel grants folders.
        self.path, self.decoy = host.root / "run", host.root / "decoy"
        for folder in (self.path, self.decoy):
            folder.mkdir(exist_ok=True)
            _empty(folder)
        for name in ("repo", "home", "hf", "cwd", "tmp", "out"):
            (self.path / name).mkdir()
        self.repo = self.path / "repo"
        self.lock = self.path / "remote-code.lock"
        self.policy = self.path / "policy.toml"
        self.secret_text = f"decoy-{secrets.token_hex(12)}"
        (self.decoy / "secret.txt").write_text(self.secret_text)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.tokens = Tokens(
            canary=str(self.decoy / "canary"),
            secret=str(self.decoy / "secret.txt"),
            port=self.listener.getsockname()[1],
        )

    def __enter__(self) -> _Folder:
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()

    def pin(self) -> str | None:
        """Pins the repository as a user would; the command's message if it refused."""
        command = [self.host.python, "-m", "safe_remote_code", "pin", str(self.repo)]
        done = subprocess.run(
            [*command, "--lockfile", str(self.lock)],
            check=False,
            capture_output=True,
            text=True,
            timeout=PIN_SECONDS,
            cwd=ROOT,
            env=self.host.env,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode not in (0, 1) or "No module named" in done.stderr:
            raise RuntimeError(f"pin is broken, which stops nothing: {done.stderr[-2000:]}")
        return None if done.returncode == 0 else f"pin ended with {done.returncode}: {done.stderr[-2000:]}"

    def write_policy(self, off: Sequence[str], *, worker: bool = False) -> None:
        self.policy.write_text(_policy(off, worker=worker))

    def request(self) -> dict[str, Any]:
        return {
            "mode": self.host.mode,
            "seconds": RUN_SECONDS,
            "policy": str(self.policy),
            "lockfile": str(self.lock),
            "canary": self.fixture.canary,
            "canary_file": self.tokens.canary,
            "secret_text": self.secret_text,
            "world": self.fixture.world,
            "result": str(self.path / "result.json"),
            "log": str(self.path / "log.txt"),
        } | {name: str(self.path / name) for name in ("repo", "home", "cwd", "tmp", "out")}

    def outcome(self, code: int | None, off: tuple[str, ...]) -> Outcome:
        report = self._report()
        hit = report["hit_stage"] is not None or self._hit_outside()
        errors = report["errors"]
        first = next((e for e in errors if e["ours"]), errors[0] if errors else {})
        return Outcome(
            technique=self.fixture.technique,
            mode=self.host.mode,
            off=off,
            canary_hit=hit,
            stage=(report["hit_stage"] or "exit") if hit else None,
            error_stage=first.get("stage"),
            error_type=first.get("type"),
            error_code=first.get("code"),
            error_message=first.get("message"),
            ours=first.get("ours", False),
            refusals=tuple(report["refusals"]),
            reached=tuple(report["reached"]),
            exit_code=code,
        )

    def _report(self) -> dict[str, Any]:
        empty: dict[str, Any] = {"hit_stage": None, "errors": [], "refusals": [], "reached": []}
        try:
            report: dict[str, Any] = json.loads((self.path / "result.json").read_text())
            return empty | report
        except (OSError, ValueError):
            return empty

    def _hit_outside(self) -> bool:
        kind = self.fixture.canary
        if kind == "file":
            # Writers add suffixes of their own, so any change in the decoy folder counts.
            return os.listdir(self.decoy) != ["secret.txt"]
        if kind == "port":
            return bool(select.select([self.listener], [], [], 0)[0])
        return kind == "read" and self._leaked()

    def _leaked(self) -> bool:
        """Whether the secret stands in the log or in anything that was saved."""
        places = [self.path / "log.txt", *(self.path / "out").rglob("*")]
        found = False
        for place in places:
            if place.is_file() and not place.is_symlink():
                found |= self.secret_text.encode() in place.read_bytes()[:MAX_LOOT_BYTES]
        return found


def _not_pinned(fixture: Fixture, off: tuple[str, ...], problem: str) -> Outcome:
    return Outcome(
        technique=fixture.technique,
        mode="guarded",
        off=off,
        canary_hit=False,
        stage=None,
        error_stage="pin",
        error_type="PinRefused",
        error_message=problem,
        ours=True,
    )


def _policy(off: Sequence[str], *, worker: bool = False) -> str:
    text = 'format = 1\nextends = ["default"]\n'
    if worker:
        text += f'execution = "worker"\n[worker]\nreply_seconds = {WORKER_REPLY_SECONDS}\n'
    return text + (f"\n[walls]\nunsafe_disable = {json.dumps(list(off))}\n" if off else "")


def _under_launcher(command: Sequence[str], root: Path) -> list[str]:
    """*command* under `safe-remote-code run`, every wall but the kernel off; only the folder of the runs is granted."""
    policy, lock = root / "policies" / "kernel-only.toml", root / "policies" / "remote-code.lock"
    policy.parent.mkdir()
    policy.write_text(_policy(fixtures.WALLS))
    lock.write_text("format = 1\npackages = 0\n")
    granted = root / "run"
    granted.mkdir()
    options = ["--policy", str(policy), "--lockfile", str(lock), "--write", str(granted)]
    return [command[0], "-m", "safe_remote_code", "run", *options, "--", *command]


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink()


def _environment(root: Path) -> dict[str, str]:
    """Nothing of the caller's environment but the search path."""
    home = root / "run" / "home"
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "HF_HOME": str(root / "run" / "hf"),
        "HF_HUB_OFFLINE": "1",
        # A graph that an earlier run compiled is not compiled again, and then asks nothing of the options it came with.
        "TORCHINDUCTOR_CACHE_DIR": str(root / "run" / "inductor"),
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": "",
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run one attack fixture.")
    parser.add_argument("fixture", type=Path)
    parser.add_argument("--mode", choices=("native", "guarded"), default="native")
    parser.add_argument("--off", nargs="*", default=[], choices=fixtures.WALLS)
    parser.add_argument("--worker", action="store_true", help="load it in a worker")
    options = parser.parse_args(arguments)
    with zygote(options.mode) as host:
        outcome = run(host, fixtures.read(options.fixture), off=options.off, worker=options.worker)
        print(json.dumps(asdict(outcome), indent=1))
        log = host.root / "run" / "log.txt"
        print(log.read_text(errors="replace") if log.exists() else "", file=sys.stderr)
    return 1 if outcome.canary_hit else 0


if __name__ == "__main__":
    raise SystemExit(main())
