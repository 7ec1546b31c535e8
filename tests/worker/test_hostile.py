"""A worker that lies, hangs or dies never confuses, hangs or crashes the parent."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from safe_remote_code.errors import WorkerDiedError, WorkerError, WorkerProtocolError, WorkerTimeoutError
from safe_remote_code.worker.frames import frame
from safe_remote_code.worker.process import WorkerProcess
from safe_remote_code.worker.values import Decoder
from worker.fuzz import Line, bare_worker, run

pytestmark = pytest.mark.torch

_HEAD = "import os, socket, sys, time, signal\nline = socket.socket(fileno=int(sys.argv[1]))\n"


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[WorkerProcess]]:
    processes: list[WorkerProcess] = []
    yield processes
    for process in processes:
        process.close()


def child(started: list[WorkerProcess], code: str, *, seconds: float = 20.0) -> WorkerProcess:
    """A worker that runs `code` in the place of ours."""
    process = WorkerProcess("", {}, seconds, command=[sys.executable, "-c", _HEAD + code])
    started.append(process)
    return process


def gone(process: WorkerProcess) -> bool:
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return not process.scratch.path.exists()
    return False


def test_two_thousand_lies() -> None:
    counted = run(2000, seed=4)
    assert counted["value"] > 100 and counted["WorkerProtocolError"] > 500, counted


def test_a_silent_worker_is_killed_in_time(started: list[WorkerProcess]) -> None:
    process = child(started, "time.sleep(600)", seconds=1.0)
    start = time.monotonic()
    with pytest.raises(WorkerTimeoutError, match="reply_seconds"):
        process.channel.ask("x", None)
    assert time.monotonic() - start < 10 and gone(process)


def test_bytes_that_drip_do_not_extend_the_deadline(started: list[WorkerProcess]) -> None:
    code = "for byte in b'SRCW\\0\\0\\1\\0' + b' ' * 300:\n    line.send(bytes([byte])); time.sleep(0.1)"
    process = child(started, code, seconds=1.0)
    start = time.monotonic()
    with pytest.raises(WorkerTimeoutError):
        process.channel.ask("x", None)
    assert time.monotonic() - start < 10 and gone(process)


def test_growing_for_ever_does_not_extend_the_deadline(started: list[WorkerProcess]) -> None:
    code = (
        "import json, struct\nsize = 1\n"
        "while True:\n    size += 1 << 20\n"
        "    text = json.dumps(dict(kind='grow', id=1, body=size, blobs=[])).encode()\n"
        "    line.sendall(struct.pack('>4sI', b'SRCW', len(text)) + text); line.recv(65536); time.sleep(0.01)\n"
    )
    process = child(started, code, seconds=2.0)
    start = time.monotonic()
    with pytest.raises(WorkerError):
        process.channel.ask("x", None)
    assert time.monotonic() - start < 10 and gone(process)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("sys.exit(3)", "exit code 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "for want of memory or by somebody"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed in native code"),
        ("os.abort()", "aborted in native code"),
        ("os.kill(os.getpid(), signal.SIGSYS)", "system call"),
    ],
)
def test_how_it_died_is_said(started: list[WorkerProcess], code: str, words: str) -> None:
    process = child(started, f"line.recv(1)\n{code}")
    with pytest.raises(WorkerDiedError, match=words):
        process.channel.ask("x", None)
    assert gone(process)
    with pytest.raises(WorkerDiedError):
        process.channel.ask("x", None)


def test_a_descriptor_that_it_sends_is_not_taken(started: list[WorkerProcess]) -> None:
    code = "line.recv(1)\nsocket.send_fds(line, [b'S'], [0, 1, 2])\ntime.sleep(60)"
    process = child(started, code, seconds=1.0)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(WorkerTimeoutError):
        process.channel.ask("x", None)
    assert len(os.listdir("/proc/self/fd")) <= len(before)


def test_it_gets_no_secret_and_no_descriptor_of_ours(
    started: list[WorkerProcess], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_decoy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "decoy")
    report = tmp_path / "report"
    (tmp_path / "open").touch()
    held = os.open(tmp_path / "open", os.O_RDONLY)
    os.set_inheritable(held, True)
    code = (
        f"fds = [os.readlink(f'/proc/self/fd/{{n}}') for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{{n}}')]\n"
        f"open({str(report)!r}, 'w').write(repr((dict(os.environ), fds)))\n"
    )
    process = child(started, code)
    with pytest.raises(WorkerDiedError):
        process.channel.ask("x", None)
    os.close(held)
    text = report.read_text()
    assert "decoy" not in text and "HF_TOKEN" not in text and str(tmp_path / "open") not in text


def test_a_body_that_claims_another_blob_twice_is_refused() -> None:
    body = [{"t": "bytes", "v": 0}, {"t": "bytes", "v": 0}]
    said = frame({"kind": "reply", "id": 1, "body": body, "blobs": [["uint8", [1], 0]]})
    line = Line(said, streams=False)
    with pytest.raises(WorkerProtocolError):
        line.ask(bare_worker())
    assert line.ended


def test_booleans_of_odd_bytes_are_booleans() -> None:
    import torch

    body = {"t": "tensor", "v": {"blob": 0, "device": "cpu"}}
    line = Line(frame({"kind": "reply", "id": 1, "body": body, "blobs": [["bool", [3], 0]]}), streams=False)
    line.channel._arenas["out"].write(0, memoryview(b"\x00\x02\xff"))
    _, value = line.ask(bare_worker())
    assert value.dtype == torch.bool and value.view(torch.uint8).tolist() == [0, 1, 1]


def test_blobs_may_not_overlap() -> None:
    """Many of them on the same bytes would cost us memory, and the worker none."""
    from safe_remote_code.worker.frames import ALIGNMENT, parse_blobs

    size = 2 * ALIGNMENT
    assert len(parse_blobs([["uint8", [size], 0], ["uint8", [0], size], ["uint8", [size], size]], 2 * size)) == 3
    for offset, length in ((0, size), (ALIGNMENT, 1), (ALIGNMENT, size)):
        with pytest.raises(WorkerProtocolError, match="overlap"):
            parse_blobs([["uint8", [size], 0], ["uint8", [length], offset]], 2 * size)


@pytest.mark.parametrize("tag", ["batch", "encoding"])
def test_a_batch_answers_for_no_special_name(tag: str) -> None:
    """numpy would read memory of ours at the address that a worker names in `__array_interface__`."""
    from safe_remote_code.integrations.worker.values import _decoded_batch

    assert _decoded_batch(tag, {"input_ids": [1]})["input_ids"] == [1]
    for name in ("__array_interface__", "__torch_function__", "_internal"):
        with pytest.raises(WorkerProtocolError):
            _decoded_batch(tag, {name: {"data": (0, False), "shape": (1,), "typestr": "|u1", "version": 3}})


def _decoder() -> Decoder:
    return Decoder((), lambda offset, target: None, bare_worker()._decode)


@pytest.mark.parametrize("first", [{"t": "dict", "v": [["__array_interface__", 1]]}, [["to_tuple", 1]], [["__dict__", []]]])
def test_the_first_field_of_an_output_does_not_become_its_attributes(first: object) -> None:
    from safe_remote_code.integrations.worker.values import _decoded_output

    body = {"class": "BaseModelOutput", "items": [["last_hidden_state", first]]}
    with pytest.raises(WorkerProtocolError, match="first field"):
        _decoded_output(body, _decoder())


@pytest.mark.parametrize("alias", [["bb", "_name_or_path"], ["auto_map", "x"], ["x", "auto_map"], ["_x", "hidden_size"]])
def test_an_alias_does_not_reach_what_the_parent_decides(alias: list[str]) -> None:
    from safe_remote_code.integrations.worker.configs import plain_config

    body = {"class": "C", "model_type": "c", "attention": None, "items": [], "attribute_map": [alias]}
    with pytest.raises(WorkerProtocolError, match="not a configuration class"):
        plain_config(body, _decoder(), "digest")


def test_no_kernel_of_the_hub_by_way_of_a_configuration() -> None:
    from safe_remote_code.integrations.worker.configs import _names_kernel

    for name in ("_attn_implementation", "_attn_implementation_internal", "_experts_implementation", "attn_implementation"):
        assert _names_kernel(name, "evil/kernel") and not _names_kernel(name, "sdpa")
    assert not _names_kernel("_commit", "a/b")
