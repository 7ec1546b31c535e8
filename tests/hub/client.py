"""Runs a script against the loopback Hub with the real client, in a process and a home of its own.

The client reads its settings once, at import, so a test cannot use it in its own process.
A script leaves what it found in `result`, which must be JSON; an uncaught exception comes back as
the names of its class and bases, so that a test asserts the kind of failure and not its wording.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, final

_FOREIGN_SETTINGS = ("HF_", "HUGGING_FACE_", "TRANSFORMERS_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
"""Variables of the developer's shell that would change what the client does."""

_EPILOGUE = "\nimport json, sys\njson.dump(result, open(sys.argv[1], 'w'))\n"

_WRAPPER = """
import json, runpy, sys, traceback
try:
    runpy.run_path(sys.argv[2])
except Exception as error:
    traceback.print_exc()
    json.dump([kind.__name__ for kind in type(error).__mro__], open(sys.argv[1] + '.error', 'w'))
    sys.exit(1)
"""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a script left behind: `result` where it succeeded, `raised` where it did not."""

    result: Any
    """JSON, hence as untyped as `json.loads`."""
    raised: Sequence[str]
    stdout: str
    stderr: str

    @property
    def value(self) -> Any:
        """The result; a script that failed fails the test with its own traceback."""
        if self.raised:
            raise AssertionError(f"the script raised {self.raised[0]}\n{self.stderr}")
        return self.result


def run_client(
    endpoint: str,
    home: Path,
    script: str,
    *,
    offline: bool = False,
    settings: Mapping[str, str] | None = None,
    timeout_seconds: float = 300.0,
) -> Outcome:
    """Run `script` with its caches under `home`; the same `home` again is the same cache.

    Raises:
        AssertionError: The process ended without a result and without an exception.
    """
    home.mkdir(parents=True, exist_ok=True)
    script_path, result_path = home / "script.py", home / "result.json"
    error_path = home / "result.json.error"
    script_path.write_text(textwrap.dedent(script) + _EPILOGUE)
    for left_over in (result_path, error_path):
        left_over.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", _WRAPPER, str(result_path), str(script_path)],
        env={**environment(endpoint, home, offline=offline), **(settings or {})},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    if not (result_path.exists() or error_path.exists()):
        raise AssertionError(f"no result, exit status {done.returncode}\n{done.stderr}")
    raised = json.loads(error_path.read_text()) if error_path.exists() else []
    result = None if raised else json.loads(result_path.read_text())
    return Outcome(result=result, raised=raised, stdout=done.stdout, stderr=done.stderr)


def installed(package: str) -> tuple[int, int]:
    """Major and minor version of a package of this environment, for facts that differ between versions."""
    major, minor = version(package).split(".")[:2]
    return int(major), int(minor)


def environment(endpoint: str, home: Path, *, offline: bool = False) -> dict[str, str]:
    """The environment of a client that knows only `endpoint`, and only `home` to write to."""
    kept = {key: value for key, value in os.environ.items() if not key.upper().startswith(_FOREIGN_SETTINGS)}
    return {
        **kept,
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "HF_ENDPOINT": endpoint,
        "HF_HUB_OFFLINE": "1" if offline else "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
