"""Each native attack works without the sandbox, and is refused with it."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.probes import PROBES

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux'"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the probes speak x86-64"),
]

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
#: Allowed under the launcher, because a program with processes needs it.
_GRANTED_TO_LAUNCHER = {"fork"}
#: Another user shows that nothing hangs on being root.
_USERS = ["own", "nobody"] if os.geteuid() == 0 else ["own"]


@pytest.fixture
def folder() -> Iterator[str]:
    """Below /tmp and open to every user, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="src-kernel-") as path:
        os.chmod(path, 0o777)
        yield path


def _run(probe: str, confinement: str, folder: str, user: str) -> tuple[dict[str, object], int]:
    command = [sys.executable, "-m", "kernel.host", probe, confinement, folder]
    done = subprocess.run(
        command + [str(NOBODY)] * (user == "nobody"),
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "DECOY": "decoy-secret"},
        capture_output=True, text=True, timeout=60, check=False, start_new_session=True,
    )  # fmt: skip
    if not done.stdout.strip():
        assert done.returncode < 0, done.stderr or "the prober ended without a word"
        return {"got": signal.Signals(-done.returncode).name}, done.returncode
    return json.loads(done.stdout.splitlines()[-1]), done.returncode


def _free(probe: str, folder: str, user: str) -> None:
    """Show that the attack works here; skip where the machine or the user cannot do it anyway."""
    os.mkdir(f"{folder}/free")
    os.chmod(f"{folder}/free", 0o777)
    result, _ = _run(probe, "free", f"{folder}/free", user)
    if "not_here" in result:
        pytest.skip(str(result["not_here"]))
    if "got" not in result:
        assert result["refused"] in ("EPERM", "EACCES", "ENOSYS", "EOPNOTSUPP"), result
        pytest.skip(f"refused without the sandbox as well ({result['refused']}), as {user}")


@pytest.mark.parametrize("user", _USERS)
@pytest.mark.parametrize("confinement", ["worker", "launcher"])
@pytest.mark.parametrize("probe", PROBES)
def test_a_native_attack_is_refused(probe: str, confinement: str, user: str, folder: str) -> None:
    _free(probe, folder, user)
    os.mkdir(f"{folder}/confined")
    os.chmod(f"{folder}/confined", 0o777)
    result, code = _run(probe, confinement, f"{folder}/confined", user)
    assert code == 0, "the attacked process came to harm"
    if confinement == "launcher" and probe in _GRANTED_TO_LAUNCHER:
        assert "got" in result
    else:
        assert "refused" in result, result
