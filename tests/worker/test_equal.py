"""A model in a worker gives, bit for bit, what it gives natively."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from driver import SEED, built, digests_of, forward, loaded
from modelcases import CASES, ModelCase

pytestmark = pytest.mark.torch


class Pair:
    """One fixture loaded natively and in a worker, with the same seeded weights."""

    def __init__(self, case: ModelCase, lockfile: Path, policy: Path) -> None:
        import transformers

        from safe_remote_code import installed

        self.case, self.lockfile, self.policy = case, lockfile, policy
        preprocessor = getattr(transformers, case.preprocessor)
        self.native = built(case.auto_class, case.directory, "cpu")
        self.native_preprocessor = preprocessor.from_pretrained(case.directory, trust_remote_code=True)
        with installed(policy=policy, lockfile=lockfile):
            self.ours = built(case.auto_class, case.directory, "cpu")
            self.preprocessor = preprocessor.from_pretrained(case.directory, trust_remote_code=True)

    def load(self, folder: Path) -> Any:
        from safe_remote_code import installed

        with installed(policy=self.policy, lockfile=self.lockfile):
            return loaded(self.case.auto_class, folder, "cpu")


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def pair(request: pytest.FixtureRequest, models_lock: Path, worker_policy: Path) -> Iterator[Pair]:
    yield Pair(request.param, models_lock, worker_policy)


def test_it_is_in_a_worker_and_the_kernel_holds_it(pair: Pair) -> None:
    import json

    status = {item["name"]: item for item in json.loads(pair.ours._worker.status)["mechanisms"]}
    assert all(status[name]["enforced"] for name in ("landlock-files", "landlock-tcp", "seccomp", "no-new-privileges"))
    if pair.case.name != "encoder":  # whose tokenizer is one of transformers
        assert pair.preprocessor._worker is pair.ours._worker


def test_no_code_of_the_repository_is_in_this_process(pair: Pair) -> None:
    kinds = {type(item) for item in (pair.ours, pair.ours.config, pair.preprocessor)}
    assert {kind.__module__.partition(".")[0] for kind in kinds} <= {"safe_remote_code", "transformers"}


def test_the_configuration_has_the_values_of_the_repositorys_class(pair: Pair) -> None:
    ours, native = pair.ours.config.to_dict(), pair.native.config.to_dict()
    for values in (ours, native):
        for name in ("auto_map", "_name_or_path"):  # natively, the model's own
            values.pop(name, None)
        for nested in ("text_config", "vision_config"):  # which class writes its version in is a matter of taste
            values.get(nested, {}).pop("transformers_version", None)
    assert ours == native


def test_weights_are_the_same(pair: Pair) -> None:
    assert digests_of(pair.ours.state_dict()) == digests_of(pair.native.state_dict())


def test_inputs_are_the_same(pair: Pair) -> None:
    ours, native = pair.case.inputs(pair.preprocessor), pair.case.inputs(pair.native_preprocessor)
    assert digests_of(ours) == digests_of(native)


@pytest.mark.parametrize("extra", [{}, {"output_hidden_states": True, "output_attentions": True}, {"return_dict": False}])
def test_forward_is_the_same(pair: Pair, extra: dict[str, bool]) -> None:
    inputs = {**pair.case.inputs(pair.native_preprocessor), **extra}
    assert forward(pair.ours, inputs) == forward(pair.native, inputs)


def test_the_loss_is_the_same(pair: Pair) -> None:
    inputs = pair.case.training_inputs(pair.native_preprocessor)
    assert forward(pair.ours, inputs)["loss"] == forward(pair.native, inputs)["loss"]


def test_generate_is_the_same_sampled_too(pair: Pair) -> None:
    import torch

    inputs = pair.case.inputs(pair.native_preprocessor)
    for name, arguments in pair.case.generations.items():
        found = []
        for model in (pair.native, pair.ours):
            torch.manual_seed(SEED)
            found.append(model.generate(**inputs, **arguments).tolist())
        assert found[0] == found[1], name


def test_a_cache_goes_back_to_the_model_that_made_it(pair: Pair) -> None:
    import torch

    if pair.case.name != "decoder":
        pytest.skip("one decoder is enough")
    found = []
    for model in (pair.native, pair.ours):
        with torch.no_grad():
            first = model(torch.tensor([[1, 5, 9]]), use_cache=True)
            second = model(torch.tensor([[7]]), past_key_values=first.past_key_values, use_cache=True)
        found.append(digests_of({"logits": second.logits}))
    assert found[0] == found[1]


def test_tokens_and_texts_are_the_same(pair: Pair) -> None:
    ours, native = (getattr(item, "tokenizer", item) for item in (pair.preprocessor, pair.native_preprocessor))
    text = "The small cat, reading 42 models!"
    assert len(ours) == len(native)
    assert ours.get_vocab() == native.get_vocab()
    assert ours.tokenize(text) == native.tokenize(text)
    assert ours(text)["input_ids"] == native(text)["input_ids"] == ours.encode(text)
    ids = native([text, "a cat"], padding=True)["input_ids"]
    assert ours.batch_decode(ids, skip_special_tokens=True) == native.batch_decode(ids, skip_special_tokens=True)
    assert (ours.pad_token_id, ours.padding_side, ours.vocab_size) == (
        native.pad_token_id, native.padding_side, native.vocab_size,
    )  # fmt: skip


def test_precision_changes_as_ever(pair: Pair) -> None:
    import torch

    assert pair.ours.num_parameters() == pair.native.num_parameters()
    for model in (pair.native, pair.ours):
        assert model.to(torch.bfloat16) is model
        assert model.dtype == torch.bfloat16
        assert model.half().dtype == torch.float16
        assert model.float().eval().dtype == torch.float32
    assert digests_of(pair.ours.state_dict()) == digests_of(pair.native.state_dict())


def test_what_is_saved_loads_again_and_is_the_same(pair: Pair, tmp_path: Path) -> None:
    native, ours = tmp_path / "native", tmp_path / "ours"
    for model, preprocessor, folder in (
        (pair.native, pair.native_preprocessor, native), (pair.ours, pair.preprocessor, ours),
    ):  # fmt: skip
        model.save_pretrained(folder)
        preprocessor.save_pretrained(folder)
    assert sorted(path.name for path in ours.iterdir()) == sorted(path.name for path in native.iterdir())
    for path in native.glob("*.py"):
        assert (ours / path.name).read_bytes() == path.read_bytes()
    again, inputs = pair.load(ours), pair.case.inputs(pair.native_preprocessor)
    assert again._worker is not pair.ours._worker
    assert forward(again, inputs) == forward(loaded(pair.case.auto_class, native, "cpu"), inputs)
