"""The `.pth` of the wheel: nothing without the variable, the guard with it, an end if the guard cannot start."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from launch.installed import Installed
from safe_remote_code.launch.environment import GUARD_LOCKFILE, GUARD_POLICY

SHOW = "import sys; print(sorted(name for name in sys.modules if name.startswith(('safe_remote_code', 'transformers', 'torch'))))"


def shown(installed: Installed, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    command = [installed.python, *words]
    return subprocess.run(command, env=installed.environment(**extra), capture_output=True, text=True, timeout=120, check=False)


def guard(policy: str = "default", lockfile: str = "/nonexistent/remote-code.lock") -> dict[str, str]:
    return {GUARD_POLICY: policy, GUARD_LOCKFILE: lockfile}


def test_without_the_variable_nothing_is_imported(installed: Installed) -> None:
    assert shown(installed, "-c", SHOW).stdout == "[]\n"


def test_with_it_only_the_hook_is_imported(installed: Installed) -> None:
    done = shown(installed, "-c", SHOW, **guard())
    assert done.stdout == "['safe_remote_code', 'safe_remote_code.startup']\n", done.stderr


def test_bare_interpreters_have_no_guard(installed: Installed) -> None:
    assert shown(installed, "-S", "-c", SHOW, **guard()).stdout == "[]\n"


@pytest.mark.torch
@pytest.mark.parametrize(
    "code",
    [
        "import transformers",
        "from transformers import AutoModel",
        "from transformers.dynamic_module_utils import get_class_from_dynamic_module",
        "import transformers.models.auto.auto_factory",
    ],
)
def test_whoever_imports_transformers_gets_our_loader(installed: Installed, code: str) -> None:
    check = (
        "import sys; from transformers import dynamic_module_utils as home, AutoConfig\n"
        "import transformers.models.auto.configuration_auto as holder\n"
        "print(home.get_class_from_dynamic_module.__module__, holder.get_class_from_dynamic_module.__module__,"
        " type(home.__loader__).__name__, type(home.__spec__.loader).__name__)"
    )
    done = shown(installed, "-c", f"{code}\n{check}", **guard())
    ours = "safe_remote_code.integrations.transformers_patch"
    assert done.stdout.split() == [ours, ours, "SourceFileLoader", "SourceFileLoader"], done.stderr


@pytest.mark.torch
def test_code_that_is_not_pinned_is_refused(installed: Installed, fixtures: Path) -> None:
    code = f"from transformers import AutoConfig\nAutoConfig.from_pretrained({str(fixtures / 'models' / 'decoder')!r}, trust_remote_code=True)"
    done = shown(installed, "-c", code, **guard())
    assert done.returncode == 1 and "[not-pinned]" in done.stderr


@pytest.mark.torch
def test_a_policy_that_cannot_be_read_lets_nothing_through(installed: Installed) -> None:
    done = shown(installed, "-c", "import transformers.dynamic_module_utils; print('through')", **guard("/nonexistent.toml"))
    assert done.returncode == 1 and "no such policy" in done.stderr and "through" not in done.stdout


def test_an_interpreter_whose_guard_cannot_start_ends(installed: Installed) -> None:
    done = shown(installed, "-c", "print('through')", **{GUARD_POLICY: "default"})
    assert (done.returncode, done.stdout) == (70, "")
    assert "the guard could not be started: KeyError" in done.stderr
