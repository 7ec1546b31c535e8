"""What a user does with a model in a worker: streaming, changing settings; and what cannot be done, and says so."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from driver import built
from pinned import pin_folder
from safe_remote_code.errors import GuardViolationError, NotPinnedError, UnsupportedInWorkerError

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def decoder(fixtures: Path, models_lock: Path, worker_policy: Path) -> Iterator[tuple[Any, Any]]:
    """The decoder and its tokenizer, in one worker."""
    from transformers import AutoTokenizer

    from safe_remote_code import installed

    folder = fixtures / "models" / "decoder"
    with installed(policy=worker_policy, lockfile=models_lock):
        yield built("AutoModelForCausalLM", folder, "cpu"), AutoTokenizer.from_pretrained(folder, trust_remote_code=True)


@pytest.fixture
def model(decoder: tuple[Any, Any]) -> Any:
    return decoder[0]


def prompt() -> Any:
    import torch

    return torch.tensor([[1, 5, 9]])


GREEDY = {"max_new_tokens": 6, "do_sample": False}


def test_tokens_are_streamed_one_by_one_as_they_come(model: Any) -> None:
    class Streamer:
        def __init__(self) -> None:
            self.seen: list[list[int]] = []
            self.ended = False

        def put(self, value: Any) -> None:
            self.seen.append(value.reshape(-1).tolist())

        def end(self) -> None:
            self.ended = True

    streamer = Streamer()
    tokens = model.generate(prompt(), streamer=streamer, **GREEDY)
    assert streamer.ended and streamer.seen[0] == [1, 5, 9]
    assert all(len(item) == 1 for item in streamer.seen[1:])
    assert [token for item in streamer.seen for token in item] == tokens[0].tolist()


def test_the_text_streamers_of_transformers_work_with_a_tokenizer_of_the_same_worker(decoder: tuple[Any, Any]) -> None:
    from transformers import TextIteratorStreamer

    model, tokenizer = decoder
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, timeout=60)
    thread = threading.Thread(target=model.generate, args=(prompt(),), kwargs={"streamer": streamer, **GREEDY})
    thread.start()
    text = "".join(streamer)
    thread.join()
    assert text == tokenizer.decode(model.generate(prompt(), **GREEDY)[0][3:])


def test_a_streamer_that_raises_stops_the_generation_and_not_the_worker(model: Any) -> None:
    class Enough(Exception):
        pass

    class Streamer:
        count = 0

        def put(self, value: Any) -> None:
            self.count += 1
            if self.count == 3:
                raise Enough

        def end(self) -> None: ...

    streamer = Streamer()
    with pytest.raises(Enough):
        model.generate(prompt(), streamer=streamer, max_new_tokens=100_000, do_sample=False)
    assert streamer.count == 3
    assert model.generate(prompt(), **GREEDY).shape[1] > 3


def test_what_is_changed_in_the_configuration_counts(model: Any) -> None:
    import torch

    with torch.no_grad():
        assert model(prompt()).past_key_values is not None
        model.config.use_cache = False
        assert "past_key_values" not in model(prompt())
        model.config.use_cache = True
        assert model(prompt()).past_key_values is not None
    model.generation_config.max_new_tokens = 2
    assert model.generate(prompt(), do_sample=False).shape[1] <= 5


def test_a_pipeline_works(decoder: tuple[Any, Any], fixtures: Path) -> None:
    from transformers import pipeline

    model, tokenizer = decoder
    text = pipeline("text-generation", model=model, tokenizer=tokenizer)("the cat", **GREEDY)
    assert text[0]["generated_text"].startswith("the cat")


@pytest.mark.parametrize(
    "use",
    [
        lambda model: model.train(),
        lambda model: list(model.parameters()),
        lambda model: model.register_forward_hook(print),
        lambda model: model(prompt()).logits.sum().backward(),
        lambda model: model.generate(prompt(), prefix_allowed_tokens_fn=lambda batch, ids: [1]),
        lambda model: model.generate(prompt(), custom_generate="some/repository", trust_remote_code=True),
        lambda model: copy.deepcopy(model),
        lambda model: pickle.dumps(model),
        lambda model: model.push_to_hub("x"),
        lambda model: model.save_pretrained("x", safe_serialization=False),
    ],
)
def test_what_cannot_cross_says_so_and_names_the_policy(model: Any, use: Any) -> None:
    with pytest.raises(UnsupportedInWorkerError, match="in-process"):
        use(model)


def test_what_cannot_come_back_from_a_worker_says_so_and_names_the_policy(
    fixtures: Path, worker_policy: Path, tmp_path: Path
) -> None:
    from safe_remote_code import installed, refusals

    folder = tmp_path / "chatty"
    shutil.copytree(fixtures / "models" / "decoder", folder)
    source, method = folder / "modeling_larch.py", "    def stream_chat(self, text):\n        yield text\n\n"
    reorders = "    @staticmethod\n    def _reorder_cache("
    source.write_text(source.read_text().replace(reorders, method + reorders))
    pin_folder(folder, tmp_path / "lock")
    before = refusals()
    with installed(policy=worker_policy, lockfile=tmp_path / "lock"):
        chatty = built("AutoModelForCausalLM", folder, "cpu")
        with pytest.raises(UnsupportedInWorkerError, match=r"(?s)generator cannot be sent from a worker.*in-process"):
            chatty.stream_chat("hello")
        assert chatty.generate(prompt(), **GREEDY).shape[1] > 3
    assert refusals() == before


def test_unpinned_code_is_refused_without_a_worker(fixtures: Path, worker_policy: Path, tmp_path: Path) -> None:
    import sys

    from safe_remote_code import get_class_from_dynamic_module

    pool = sys.modules.get("safe_remote_code.integrations.worker.pool")
    before = set(pool._Pool.workers.keys()) if pool else set()
    with pytest.raises(NotPinnedError):
        get_class_from_dynamic_module(
            "modeling_larch.LarchModel", fixtures / "models" / "decoder", policy=worker_policy, lockfile=tmp_path / "none"
        )
    assert not pool or set(pool._Pool.workers.keys()) <= before


def test_a_refusal_in_the_worker_is_in_the_parents_audit_log(fixtures: Path, worker_policy: Path, tmp_path: Path) -> None:
    """The guard that refuses stands in the child; who reads the log reads that of the parent."""
    import torch

    from safe_remote_code import install, refusals, uninstall

    folder, events = tmp_path / "curious", tmp_path / "events.jsonl"
    shutil.copytree(fixtures / "models" / "decoder", folder)
    source = folder / "modeling_larch.py"
    looks = '        getattr(type(x), "__subcl" + "asses__")\n        return self.down_proj('
    source.write_text(source.read_text().replace("        return self.down_proj(", looks, 1))
    pin_folder(folder, tmp_path / "lock")
    install(policy=worker_policy, lockfile=tmp_path / "lock", audit_log=events)
    try:
        curious = built("AutoModelForCausalLM", folder, "cpu")
        with pytest.raises(GuardViolationError, match="__subclasses__") as raised:
            curious(torch.tensor([[1, 5]]))
    finally:
        uninstall()
    assert any(error is raised.value for error in refusals())
    assert [event["event"] for event in map(json.loads, events.read_text().splitlines())].count("denied") == 1


def test_a_configuration_is_copied_and_pickled_as_ever(model: Any) -> None:
    for twin in (copy.deepcopy(model.config), pickle.loads(pickle.dumps(model.config))):
        assert type(twin) is type(model.config) and twin.to_dict() == model.config.to_dict()


def test_saving_refuses_what_the_worker_must_not_have_left(model: Any, tmp_path: Path) -> None:
    import os

    from safe_remote_code.errors import RefusedError, WorkerProtocolError
    from safe_remote_code.integrations.worker.saving import _check_name, _copied

    for name in ("../x.json", "a/b.json", ".hidden.json", "x.pt", "x.bin", "x.json\n", "x", "-x.json"):
        with pytest.raises(RefusedError):
            _check_name(name, tmp_path)
    (tmp_path / "secret.json").write_text("{}")
    (tmp_path / "link.json").symlink_to(tmp_path / "secret.json")
    os.link(tmp_path / "secret.json", tmp_path / "hard.json")
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "evil.py").write_text("raise SystemExit\n")
    (tmp_path / "bad.safetensors").write_bytes(b"\x80\x04pickle")
    (tmp_path / "out").mkdir()
    held = os.open(tmp_path, os.O_RDONLY)
    for name in ("link.json", "hard.json", "pipe.json", "evil.py", "bad.safetensors"):
        with pytest.raises((RefusedError, WorkerProtocolError, OSError)):
            _copied(held, name, tmp_path / "out" / name, frozenset())
    os.close(held)
    assert os.listdir(tmp_path / "out") == []


def test_a_folder_that_the_worker_puts_in_the_place_of_its_own_is_not_taken(tmp_path: Path) -> None:
    """It may link its folder to one of the user's: nothing there is copied, and above all nothing deleted."""
    from types import SimpleNamespace

    from safe_remote_code.integrations.worker.saving import save

    victim, out, target = tmp_path / "victim", tmp_path / "out", tmp_path / "saved"
    victim.mkdir()
    out.mkdir()
    (victim / "config.json").write_text("{}")

    def ask(operation: str, body: dict[str, Any]) -> None:
        place = Path(body["folder"])
        (place / "own.json").write_text("[]")
        place.rename(out / "moved")
        place.symlink_to(victim)

    worker: Any = SimpleNamespace(_worker=SimpleNamespace(out=out, approved=frozenset(), ask=ask))
    assert save(worker, target, push_to_hub=False, settings={}) == (str(target / "own.json"),)
    assert (victim / "config.json").read_text() == "{}" and not (target / "config.json").exists()
