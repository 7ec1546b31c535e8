"""The child of `self-check`: tries what must fail and looks whether the guard is there. Run as a script, by path.

    python -P probe.py QUESTION ANSWER

It is confined like any program under `run`; its word counts because it is this package's own code.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

_HOOK: Final = "safe_remote_code.startup"
_TRANSFORMERS: Final = "transformers.dynamic_module_utils"


def in_place() -> dict[str, object]:
    """What this process says of itself: the hook of the guard, and what the kernel shows."""
    with open("/proc/self/status", encoding="utf-8", errors="replace") as stream:
        lines = dict(line.rstrip("\n").split(":\t", 1) for line in stream if ":\t" in line)
    return {
        "guard": _HOOK in sys.modules,
        "seccomp": lines.get("Seccomp") == "2",
        "nnp": lines.get("NoNewPrivs") == "1",
    }


def reads(path: str) -> bool:
    """Whether the decoy can be read."""
    try:
        return Path(path).read_text(encoding="utf-8") == "decoy"
    except OSError:
        return False


def both(path: str) -> dict[str, object]:
    """What a worker process reports."""
    return {**in_place(), "contained": not reads(path)}


def _refused(name: str, attempt: Callable[[], object]) -> dict[str, object]:
    try:
        attempt()
    except OSError as error:
        return {"name": f"{name} is refused", "passed": True, "detail": error.strerror or str(error)}
    return {"name": f"{name} is refused", "passed": False, "detail": "it worked"}


def _attempts(question: dict[str, Any]) -> list[dict[str, object]]:
    name = str(question["variable"])
    return [
        _refused("reading a file outside", lambda: Path(question["file"]).read_bytes()),
        _refused("writing a file outside", lambda: Path(question["folder"], "new").write_bytes(b"x")),
        _refused("changing a file outside", lambda: os.truncate(question["file"], 0)),
        _refused("connecting to a port", lambda: socket.create_connection(("127.0.0.1", question["port"]), 5)),
        _refused("a datagram", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
        _refused("starting a program", lambda: _start("/bin/sh", "-c", "exit 0")),
        _refused("signalling the parent", lambda: os.kill(question["process"], 0)),
        _refused("the parent's environment", lambda: Path(f"/proc/{question['process']}/environ").read_bytes()),
        {"name": "the environment is cleaned", "passed": name not in os.environ, "detail": ""},
    ]


def _start(*words: str) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn(words[0], list(words), os.environ), 0)[1])


def _everywhere(question: dict[str, Any], answer: Path) -> list[dict[str, object]]:
    path = str(question["file"])
    found = {"this process": both(path)}
    for method in ("fork", "spawn"):
        with ProcessPoolExecutor(1, mp_context=get_context(method)) as pool:
            found[f"a worker ({method})"] = pool.submit(both, path).result(60)
    found["a Python started as a program"] = _interpreter(path, answer)
    bare = _interpreter(path, answer, "-S")
    rows = [
        {"name": f"guard and sandbox in {where}", "passed": all(report.values()),
         "detail": ", ".join(key for key, value in report.items() if not value)}
        for where, report in found.items()
    ]  # fmt: skip
    held = all(value for key, value in bare.items() if key != "guard")
    rows.append({"name": "a Python started with -S is held by the kernel", "passed": held,
                 "detail": "" if bare["guard"] else "it reads no .pth, so it has no guard"})  # fmt: skip
    return rows


def _interpreter(path: str, answer: Path, *flags: str) -> dict[str, object]:
    result = answer.with_name("child.json")
    result.unlink(missing_ok=True)
    _start(sys.executable, *flags, str(Path(__file__)), "--child", path, str(result))
    try:
        found: dict[str, object] = json.loads(result.read_text(encoding="utf-8"))
    except OSError:
        return {"guard": False, "started": False}
    return found


def _loader() -> dict[str, object]:
    name = "transformers' loader is replaced by the guard"
    if importlib.util.find_spec("transformers") is None:
        return {"name": name, "passed": True, "detail": "transformers is not installed here"}
    function = importlib.import_module(_TRANSFORMERS).get_class_from_dynamic_module
    home = getattr(function, "__module__", "")
    return {"name": name, "passed": home.startswith("safe_remote_code."), "detail": home}


def main() -> None:
    """Ask everything and write the answer."""
    if sys.argv[1] == "--child":
        Path(sys.argv[3]).write_text(json.dumps(both(sys.argv[2])), encoding="utf-8")
        return
    question, answer = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2])
    rows = [*_attempts(question), *_everywhere(question, answer), _loader()]
    answer.write_text(json.dumps(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
