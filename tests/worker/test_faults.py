"""Faults on either side: one clear error, and nothing left behind."""

from __future__ import annotations

import gc
import os
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from driver import built
from filesystems import mounted, read_only
from worker.conftest import POLICY

pytestmark = pytest.mark.torch
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def load(fixtures: Path, models_lock: Path, tmp_path: Path) -> Iterator[Any]:
    """Loads the decoder in a worker; the policy is this test's own, so that no other test's worker serves it."""
    from safe_remote_code import installed

    policy = tmp_path / "own.toml"
    policy.write_text(POLICY.replace('"worker"', f'"{tmp_path.name}"', 1) + "[worker]\nreply_seconds = 120\n")
    with installed(policy=policy, lockfile=models_lock):
        yield lambda: built("AutoModelForCausalLM", fixtures / "models" / "decoder", "cpu")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def until(condition: Any, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def folders() -> set[str]:
    return {name for name in os.listdir(tempfile.gettempdir()) if name.startswith("safe-remote-code-worker-")}


def memory_files() -> int:
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += "memfd:safe-remote-code" in os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
    return found


def test_a_worker_that_is_killed_while_it_generates_is_one_clear_error(load: Any) -> None:
    import torch

    from safe_remote_code.errors import WorkerDiedError

    model = load()
    pid, folder = model._worker.pid, model._worker.out.parent
    assert folder.is_dir()
    timer = threading.Timer(0.5, os.kill, (pid, signal.SIGKILL))
    timer.start()
    with pytest.raises(WorkerDiedError, match="SIGKILL"):
        model.generate(torch.tensor([[1, 5]]), max_new_tokens=100_000, do_sample=False)
    with pytest.raises(WorkerDiedError, match="load the model again"):
        model(torch.tensor([[1, 5]]))
    assert not alive(pid) and not folder.exists()
    assert load().num_parameters() > 0, "and the next load starts another"


def test_a_worker_dies_with_its_parent(fixtures: Path, models_lock: Path, worker_policy: Path, tmp_path: Path) -> None:
    code = f"""
        import sys, threading, time
        sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
        from pathlib import Path
        import safe_remote_code
        from driver import built
        kept = []
        def load():
            with safe_remote_code.installed(policy={str(worker_policy)!r}, lockfile={str(models_lock)!r}):
                kept.append(built("AutoModelForCausalLM", Path({str(fixtures / "models" / "decoder")!r}), "cpu"))
        thread = threading.Thread(target=load)
        thread.start(); thread.join()
        assert kept[0].num_parameters()  # the thread that asked for the worker has ended, the worker has not
        print(kept[0]._worker.pid, kept[0]._worker.out.parent, flush=True)
        time.sleep(600)
    """
    parent = subprocess.Popen([sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    number, _, left = parent.stdout.readline().strip().partition(" ")
    pid, folder = int(number), Path(left)
    assert alive(pid) and folder.is_dir()
    parent.kill()
    parent.wait()
    assert until(lambda: not alive(pid))
    from safe_remote_code.worker.process import Scratch

    Scratch().remove()  # the next worker sweeps what a killed parent left
    assert not folder.exists()


def test_memory_is_bounded_and_running_out_of_it_is_an_error(
    fixtures: Path, models_lock: Path, tmp_path: Path
) -> None:
    import torch

    from safe_remote_code import installed

    policy = tmp_path / "small.toml"
    policy.write_text(POLICY + "[worker]\nreply_seconds = 120\nmemory_bytes = 3_000_000_000\n")
    with installed(policy=policy, lockfile=models_lock):
        model = built("AutoModelForCausalLM", fixtures / "models" / "decoder", "cpu")
    with pytest.raises(RuntimeError, match="can't allocate memory"), torch.no_grad():
        model(torch.ones((1024, 512), dtype=torch.long), output_attentions=True)
    assert model(torch.tensor([[1]])).logits.shape[1] == 1, "and the worker lives"


def test_a_second_policy_is_not_served_by_the_worker_of_the_first(
    load: Any, fixtures: Path, models_lock: Path, tmp_path: Path
) -> None:
    """transformers remembers the model class of a configuration class, and does not ask again."""
    from safe_remote_code import installed

    first, policy = load(), tmp_path / "second.toml"
    policy.write_text(POLICY + "[worker]\nreply_seconds = 60\n")
    with installed(policy=policy, lockfile=models_lock):
        second = built("AutoModelForCausalLM", fixtures / "models" / "decoder", "cpu")
    assert second._worker is not first._worker
    assert load()._worker is first._worker


def test_a_full_disk_on_save_is_an_os_error_and_leaves_no_half_file(load: Any, tmp_path: Path) -> None:
    model, target = load(), tmp_path / "saved"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))  # of this process; the worker was started before
    try:
        with pytest.raises(OSError):
            model.save_pretrained(target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert not [path for path in target.iterdir() if path.suffix == ".safetensors" or path.name.startswith(".")]
    model.save_pretrained(target)
    assert (target / "model.safetensors").stat().st_size > 20_000


def test_a_full_file_system_on_save_is_an_os_error_and_leaves_no_half_file(load: Any, tmp_path: Path) -> None:
    model = load()
    with mounted(tmp_path / "small", size_kib=64) as disk:
        with pytest.raises(OSError, match="No space left"):
            model.save_pretrained(disk / "saved")
        assert not [path for path in disk.rglob("*") if path.suffix == ".safetensors" or path.name.startswith(".")]
    model.save_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved" / "model.safetensors").stat().st_size > 65_536


@pytest.mark.parametrize("writable", [True, False], ids=["cold", "read-only"])
def test_processes_that_start_workers_together_lose_no_race(
    fixtures: Path, models_lock: Path, worker_policy: Path, tmp_path: Path, writable: bool
) -> None:
    """Two for a suite; `make processes` starts 32."""
    code = f"""
        import sys
        sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
        from pathlib import Path
        import safe_remote_code, torch
        from driver import built
        with safe_remote_code.installed(policy={str(worker_policy)!r}, lockfile={str(models_lock)!r}):
            model = built("AutoModelForCausalLM", Path({str(fixtures / "models" / "decoder")!r}), "cpu")
        print(model.generate(torch.tensor([[1, 5]]), max_new_tokens=4, do_sample=False).tolist())
    """
    count = int(os.environ.get("PROCESSES", "2"))
    cache = tmp_path / "cache"
    cache.mkdir()
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    with nullcontext() if writable else read_only(cache):
        running = [
            subprocess.Popen([sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], env=environment, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(count)
        ]  # fmt: skip
        ended = [(process.communicate(timeout=580), process.returncode) for process in running]
    assert [code for _, code in ended] == [0] * count, ended
    assert len({out for (out, _), _ in ended}) == 1


def test_an_error_of_the_model_is_the_models_own_and_the_worker_lives(load: Any) -> None:
    import torch

    model = load()
    with pytest.raises(ValueError, match="exactly one of input_ids or inputs_embeds"):
        model()
    with pytest.raises(AttributeError):
        model.no_such_attribute  # noqa: B018  # the look-up is what is tested
    assert not hasattr(model, "no_such_attribute")
    assert model(torch.tensor([[1]])).logits.shape[1] == 1


def test_loads_and_unloads_leave_nothing(load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of times is for a suite; `make worker-loads` does 200."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # folders of other processes are not ours to count
    load()
    gc.collect()
    before = (len(os.listdir("/proc/self/fd")), memory_files(), len(folders()))
    for _ in range(int(os.environ.get("WORKER_LOADS", "3"))):
        model = load()
        pid = model._worker.pid
        del model
        gc.collect()
        assert until(lambda pid=pid: not alive(pid))  # type: ignore[misc]
    assert (len(os.listdir("/proc/self/fd")), memory_files(), len(folders())) == before


def test_a_forked_process_neither_uses_nor_ends_the_worker(load: Any) -> None:
    import torch

    model = load()
    child = os.fork()
    if child == 0:
        try:
            model(torch.tensor([[1]]))
        except Exception as error:
            del model
            gc.collect()
            os._exit(7 if type(error).__name__ == "WorkerError" else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert model(torch.tensor([[1]])).logits.shape[1] == 1
