"""`self-check`: proof, from inside a child, that guard and sandbox are on, there and in what it starts.

Rules: an attempt proves something only if it works here, outside, first. The child is told where the decoys lie and
what their content is, so that reading one is noticed as such.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, final

from ..errors import RefusedError
from . import Wishes, launch

_DECOY: Final = "SAFE_REMOTE_CODE_DECOY"
_PROBE: Final = Path(__file__).with_name("probe.py")
_RESULT: Final = "result.json"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One attempt and what became of it."""

    name: str
    passed: bool
    detail: str = ""


@contextmanager
def _decoys() -> Iterator[dict[str, object]]:
    """A file, a folder, a listening port and a process that the child must not reach."""
    with tempfile.TemporaryDirectory(prefix="safe-remote-code-decoy-") as folder, socket.socket() as server:
        path = Path(folder, "secret")
        path.write_text("decoy", encoding="utf-8")
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), 5):
            pass
        os.kill(os.getpid(), 0)
        yield {"file": str(path), "folder": folder, "port": port, "process": os.getpid(), "variable": _DECOY}


def checked(wishes: Wishes, python: str, environment: Mapping[str, str]) -> tuple[dict[str, object], list[Check]]:
    """The sandbox status of the child, and every attempt with its outcome.

    Raises:
        RefusedError: the child did not answer; besides, as `launch`.
    """
    with tempfile.TemporaryDirectory(prefix="safe-remote-code-check-") as folder, _decoys() as decoys:
        question = Path(folder, "question.json")
        answer = Path(folder, _RESULT)
        question.write_text(json.dumps(decoys), encoding="utf-8")
        granted = replace(wishes, write=(*wishes.write, folder), read=(*wishes.read, str(_PROBE)))
        command = [python, "-P", str(_PROBE), str(question), str(answer)]
        ended = launch(granted, command, {**environment, _DECOY: "decoy"})
        try:
            found = json.loads(answer.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise RefusedError(f"the child did not answer (exit code {ended.code})", subject=python,
                               remedy="look at its messages above") from None  # fmt: skip
    return ended.status, [Check(**item) for item in found]
