"""The values and the status: what is asked, what holds, and that nothing required is missing silently."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from safe_remote_code.errors import RefusedError
from safe_remote_code.sandbox import Confinement, SandboxUnavailableError, interpreter_paths, landlock, seccomp
from safe_remote_code.sandbox.apply import unavailable

ROOT = Path(__file__).resolve().parents[2]
linux = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux'")


@pytest.mark.parametrize(
    "wrong",
    [
        {"read": ("relative",)}, {"write": ("/a/../b",)}, {"execute": ("/a\0b",)}, {"connect": (70000,)}, {"bind": (-2,)},
        {"memory": 0}, {"open_files": -1}, {"required": frozenset({"magic"})},
    ],
)  # fmt: skip
def test_a_false_claim_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Confinement(**wrong)  # type: ignore[arg-type]


def _confined(code: str, confinement: str = "Confinement(read=interpreter_paths())") -> subprocess.CompletedProcess[str]:
    setup = f"import sys, os\nfrom safe_remote_code.sandbox import *\nc = {confinement}\n"
    return subprocess.run(
        [sys.executable, "-c", setup + code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


@linux
def test_status_says_what_holds_and_for_which_threads() -> None:
    done = _confined("s = apply(c); print(s.json()); print(s.text(), file=sys.stderr)")
    status = json.loads(done.stdout)
    found = {item["name"]: item for item in status["mechanisms"]}
    assert status["landlock_abi"] == landlock.abi()
    for name in ("no-new-privileges", "landlock-files", "seccomp", "limits"):
        assert found[name]["requested"] and found[name]["enforced"], done.stderr
        assert found[name]["threads"] == "process"
    assert not found["landlock-unix"]["requested"] and not found["landlock-unix"]["enforced"]
    assert "seccomp            enforced" in done.stderr


@linux
def test_the_kernel_agrees() -> None:
    done = _confined("apply(c); print(open('/proc/self/status').read())")
    lines = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
    assert lines["NoNewPrivs"] == "1"
    assert lines["Seccomp"] == "2"
    assert int(lines["CapEff"], 16) & ~0b10 == 0
    assert int(lines["CapBnd"], 16) & ~0b10 == 0 or os.geteuid()


@linux
def test_a_process_with_threads_is_refused_before_landlock_can_hold_them() -> None:
    if landlock.abi() >= landlock.ALL_THREADS_ABI:
        pytest.skip("this kernel holds all threads")
    code = (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "try: apply(c)\nexcept SandboxUnavailableError as error: print(error, os.path.exists('/root/.'))\n"
        "print(open('/proc/self/status').read().count('NoNewPrivs:\\t0'), flush=True)\nos._exit(0)"
    )
    done = _confined(code)
    assert "2 threads" in done.stdout and "To continue: apply it before" in done.stdout, done.stderr
    assert done.stdout.rstrip().endswith("1"), "it failed before it changed anything"


def test_what_the_kernel_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "available", lambda: False)
    wide = Confinement(connect=(80,), unix=True, allow_fork=True)
    assert unavailable(wide, 0) == ("landlock-files", "landlock-tcp", "landlock-scope", "landlock-unix", "seccomp")
    assert unavailable(Confinement(), 3) == ("seccomp",), "no sockets and no processes: seccomp alone holds the rest"
    assert unavailable(Confinement(), 2) == ("landlock-files", "seccomp"), "before ABI 3 any file can be emptied"
    monkeypatch.setattr(seccomp, "available", lambda: True)
    assert unavailable(wide, landlock.UNIX_ABI) == ()


@linux
def test_a_requirement_that_cannot_be_met_is_an_error() -> None:
    if landlock.abi() >= landlock.UNIX_ABI:
        pytest.skip("this kernel has everything")
    done = _confined(
        "try: apply(c)\nexcept SandboxUnavailableError as error: print(error)",
        "Confinement(read=interpreter_paths(), unix=True, required=REQUIRED | {'landlock-unix'})",
    )
    assert "cannot enforce: landlock-unix (Linux 7.1)" in done.stdout
    assert issubclass(SandboxUnavailableError, RefusedError)


@linux
@pytest.mark.parametrize(("system", "machine", "said"), [("darwin", "x86_64", "Linux kernel features"), ("linux", "riscv64", "x86_64 and aarch64")])
def test_other_systems_get_a_clear_message(system: str, machine: str, said: str) -> None:
    code = f"import platform\nsys.platform = {system!r}\nplatform.machine = lambda: {machine!r}\n"
    done = _confined(f"{code}try: apply(c)\nexcept SandboxUnavailableError as error: print(error)")
    assert said in done.stdout, done.stderr


@linux
def test_memory_and_descriptors_are_limited() -> None:
    done = _confined(
        "apply(c)\ntry: bytearray(2**31)\nexcept MemoryError: print('memory')\n"
        "try: kept = [open('/dev/zero') for _ in range(100)]\nexcept OSError as error: print(error.errno)",
        "Confinement(read=interpreter_paths(), memory=2**30, open_files=32)",
    )
    assert done.stdout.split() == ["memory", "24"], done.stderr


def test_the_paths_of_an_interpreter_hold_no_home() -> None:
    found = interpreter_paths()
    assert found and all(os.path.isabs(path) for path in found)
    home = os.path.realpath(os.path.expanduser("~"))
    assert not [path for path in found if os.path.commonpath([path, home]) == path]
    assert "/etc" not in found and "/" not in found and "/proc" not in found


@linux
@pytest.mark.torch
def test_torch_and_tokenizers_work_inside(tmp_path: Path) -> None:
    code = (
        "apply(c)\nimport torch, tokenizers, safetensors.torch, transformers\n"
        "x = torch.randn(64, 64, requires_grad=True); (x @ x).sum().backward()\n"
        f"safetensors.torch.save_file({{'x': x.detach()}}, {str(tmp_path / 'x.safetensors')!r})\n"
        f"y = safetensors.torch.load_file({str(tmp_path / 'x.safetensors')!r})['x']\n"
        "config = transformers.LlamaConfig(hidden_size=64, intermediate_size=64, num_hidden_layers=1,"
        " num_attention_heads=4, vocab_size=64)\n"
        "model = transformers.LlamaForCausalLM(config)\n"
        f"model.save_pretrained({str(tmp_path / 'model')!r})\n"
        "print(torch.equal(x, y), model.generate(torch.ones(1, 3, dtype=torch.long), max_new_tokens=4).shape[0])\n"
    )
    done = _confined(
        f"import tempfile\ntempfile.tempdir = {str(tmp_path)!r}\n{code}",
        f"Confinement(read=interpreter_paths(), write=(*standard_devices(), {str(tmp_path)!r}))",
    )
    assert done.stdout.split() == ["True", "1"], done.stderr[-2000:]


@linux
def test_a_stricter_sandbox_can_be_put_inside() -> None:
    code = (
        "apply(c)\nread, write = os.pipe()\nchild = os.fork()\n"
        "if not child:\n"
        "    apply(Confinement(read=interpreter_paths(all_processes=True), keep_descriptors=(write,)))\n"
        "    try: os.fork()\n    except PermissionError: os.write(write, b'no fork')\n    os._exit(0)\n"
        "os.close(write)\nprint(os.read(read, 100).decode(), os.waitpid(child, 0)[1], os.waitpid(os.fork() or os._exit(0), 0)[1])"
    )
    done = _confined(code, "Confinement(read=interpreter_paths(all_processes=True), allow_fork=True)")
    assert done.stdout.strip() == "no fork 0 0", done.stderr


@linux
def test_no_signal_by_way_of_a_descriptor() -> None:
    """`F_SETOWN` sends signals to any process of the user, and a lease hinders who writes to what may only be read."""
    code = (
        "import fcntl\napply(c)\nfile = os.open(sys.executable, os.O_RDONLY)\n"
        "for command in (8, 10, 15, 1024, 1026):\n"
        "    try: fcntl.fcntl(file, command, 0)\n"
        "    except OSError as error: print(command, error.errno)\n"
        "print(fcntl.fcntl(file, fcntl.F_GETFL) >= 0)\n"
    )
    done = _confined(code)
    assert done.stdout.split() == ["8", "13", "10", "13", "15", "13", "1024", "13", "1026", "13", "True"], done.stderr


@linux
@pytest.mark.skipif(os.getuid() != 0, reason="who has no capabilities has none to give up")
def test_capabilities_that_are_held_back_are_given_up_too() -> None:
    """Lowering only the effective set leaves the others for the next exec."""
    code = (
        "from safe_remote_code.sandbox.limits import _capabilities, _set_capabilities\n"
        "_set_capabilities(0, _capabilities('CapPrm'))\napply(c)\n"
        "print([_capabilities(name) for name in ('CapEff', 'CapPrm', 'CapInh', 'CapAmb')])\n"
    )
    assert _confined(code).stdout == "[0, 0, 0, 0]\n"


@linux
def test_a_worker_cannot_stay_behind() -> None:
    code = (
        "from safe_remote_code.sandbox.kernel import prctl\napply(c)\n"
        "try: prctl(1, 0)\nexcept OSError as error: print(error.errno)\n"
    )
    assert _confined(code).stdout.strip() == "1"


def test_the_folder_of_the_program_is_not_the_workers(tmp_path: Path) -> None:
    """It holds what is nobody's business, wherever on the module path it stands."""
    script = tmp_path / "program.py"
    script.write_text(
        "import sys\nsys.path.insert(0, '/put/before')\n"
        "from safe_remote_code.sandbox import interpreter_paths\nprint(*interpreter_paths(), sep='\\n')\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert str(tmp_path) not in done.stdout.split() and str(ROOT) in done.stdout.split()
