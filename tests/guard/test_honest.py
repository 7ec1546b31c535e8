"""What the guard looks at twice still works where it is honest: as natively, and with the same results."""

from __future__ import annotations

import base64
import enum
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("RestrictedPython")
pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from safe_remote_code.errors import GuardViolationError, PolicyError
from safe_remote_code.guard.context import writing_below

from .written import written


def test_a_forward_that_is_put_on_an_object_is_called(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        import types
        from functools import partial
        import torch
        from torch import nn

        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = nn.Linear(2, 2)
                self.forward = partial(self._forward, scale=2)
                self.inner.forward = types.MethodType(halved, self.inner)
                setattr(self, "other", nn.Identity())
                setattr(self.other, "forward", torch.relu)

            def _forward(self, x, scale):
                return self.other(self.inner(x)) * scale

        def halved(layer, x):
            return nn.functional.linear(x, layer.weight, layer.bias) / 2
        """,
    )
    torch.manual_seed(0)
    block, x = module.Block(), torch.ones(1, 2)
    expected = torch.relu(torch.nn.functional.linear(x, block.inner.weight, block.inner.bias) / 2) * 2
    assert torch.equal(block(x), expected)
    assert torch.equal(torch.compile(block, fullgraph=True, backend="eager")(x), expected)


@pytest.mark.parametrize(
    "statement",
    ["x.forward, y = torch.relu, 1", "[x.forward] = [torch.relu]", "for x.forward in [torch.relu]: pass",
     "x.forward: int = torch.relu", "z = [0 for x.forward in [torch.relu]]", "x.forward += 1"],
)  # fmt: skip
def test_a_forward_is_put_on_an_object_in_one_form(tmp_path: Path, statement: str) -> None:
    with pytest.raises(PolicyError, match="in no other form"):
        written(tmp_path, f"import torch\nx = torch.nn.Linear(1, 1)\n{statement}\n")


def test_a_save_makes_the_folders_above_it(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        from transformers import PretrainedConfig

        class Plain(PretrainedConfig):
            model_type = "plain"

        class Own(PretrainedConfig):
            model_type = "own"

            def save_pretrained(self, save_directory, **keywords):
                super().save_pretrained(save_directory=save_directory, **keywords)
        """,
    )
    for name in ("Plain", "Own"):
        folder = tmp_path / "a" / "b" / name
        getattr(module, name)().save_pretrained(folder)
        assert (folder / "config.json").is_file()
        getattr(module, name)().save_pretrained(save_directory=str(folder / "c"))
        assert (folder / "c" / "config.json").is_file()


def test_kernels_of_the_known_organisation_may_be_listed(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        from transformers import PreTrainedModel

        class Base(PreTrainedModel):
            _compatible_flash_implementations = ["kernels-community/vllm-flash-attn3", "flash_attention_2"]

        class Child(Base):
            pass
        """,
    )
    listed = module.Child._compatible_flash_implementations
    assert listed == ("kernels-community/vllm-flash-attn3", "flash_attention_2")
    model = object.__new__(module.Child)
    model.__dict__["_compatible_flash_implementations"] = ["elsewhere/kernel"]
    assert model._compatible_flash_implementations == listed


def test_an_archive_of_arrays_is_read(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    numpy.savez(tmp_path / "arrays.npz", a=numpy.arange(3), b=numpy.ones((2, 2)))
    module = written(
        tmp_path,
        """
        import numpy as np

        def read(path):
            with np.load(path) as archive:
                return {name: archive[name].sum() for name in archive}, archive.files, "a" in archive
        """,
    )
    with writing_below(str(tmp_path)):
        sums, files, held = module.read(str(tmp_path / "arrays.npz"))
    assert (sums, files, held) == ({"a": 3, "b": 4.0}, ["a", "b"], True)


def test_contexts_of_transformers_are_left(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        import torch
        from transformers.utils import ContextManagers

        def inside():
            with ContextManagers([torch.no_grad()]):
                return torch.is_grad_enabled()
        """,
    )
    assert module.inside() is False and torch.is_grad_enabled()


def test_a_user_may_load_a_class_from_another_folder(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        from transformers import PreTrainedTokenizer

        class Words(PreTrainedTokenizer):
            vocab_files_names = {"vocab_file": "words.txt"}

            def __init__(self, vocab_file, **kwargs):
                with open(vocab_file) as stream:
                    self.words = stream.read().split()
                super().__init__(unk_token="a", **kwargs)

            @property
            def vocab_size(self):
                return len(self.words)

            def get_vocab(self):
                return {word: index for index, word in enumerate(self.words)}

            def _tokenize(self, text, **kwargs):
                return text.split()

            def _convert_token_to_id(self, token):
                return self.words.index(token)

            def save_vocabulary(self, save_directory, filename_prefix=None):
                return ()

        def load(folder):
            return Words.from_pretrained(folder)
        """,
    )
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "words.txt").write_text("a b c", encoding="utf-8")
    with pytest.raises(GuardViolationError, match="second"):
        module.load(str(tmp_path / "second"))
    assert module.Words.from_pretrained(tmp_path / "first").convert_tokens_to_ids(["c", "a"]) == [2, 0]
    with pytest.raises(GuardViolationError, match="second"):
        module.Words(str(tmp_path / "second" / "words.txt"))


def test_a_tower_is_made_of_a_configuration(tmp_path: Path) -> None:
    """Under transformers 4.49 this loads the configuration of every model that it knows."""
    module = written(
        tmp_path,
        """
        from transformers import AutoModel, CLIPVisionConfig

        def tower():
            sizes = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2)
            return AutoModel.from_config(CLIPVisionConfig(image_size=8, patch_size=4, **sizes))
        """,
    )
    assert type(module.tower()).__name__ == "CLIPVisionModel"


def test_flex_attention_is_what_it_is_natively(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        def attend(q):
            mask = create_block_mask(lambda b, h, x, y: x >= y, None, None, 16, 16, device="cpu")
            return flex_attention(q, q, q, block_mask=mask, scale=0.5, kernel_options={"BLOCK_M": 16})
        """,
    )
    torch.manual_seed(0)
    q = torch.randn(1, 2, 16, 8)
    expected = torch.nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True, scale=0.5)
    torch.testing.assert_close(module.attend(q), expected)


def test_random_numbers_of_a_fork_and_the_font_of_pillow(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        import torch
        from PIL import Image, ImageDraw, ImageFont

        def forked():
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(1)
                return torch.rand(1)

        def labelled():
            picture = Image.new("L", (40, 12))
            ImageDraw.Draw(picture).text((0, 0), "cat", fill=255, font=ImageFont.load_default())
            return picture.getbbox()
        """,
    )
    torch.manual_seed(0)
    before = torch.get_rng_state()
    forked = module.forked()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert torch.equal(forked, torch.rand(1))
    assert module.labelled() is not None


def test_operators_in_place_and_a_question_for_ninja(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        import transformers
        from transformers.utils import is_ninja_available

        class Bits:
            def __init__(self):
                self.value = 1

            def __ior__(self, other):
                self.value |= other
                return self

            def __divmod__(self, other):
                return divmod(self.value, other)

            def __rlshift__(self, other):
                return other << self.value

        def used():
            bits = Bits()
            bits |= 6
            return bits.value, divmod(bits, 2), 1 << bits, is_ninja_available(), transformers.utils.is_ninja_available()
        """,
    )
    assert module.used() == (7, (3, 1), 128, False, False)


def test_an_array_over_bytes_is_a_copy_of_them(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        import numpy as np

        def codes(text):
            return np.frombuffer(text.encode("utf-8"), dtype=np.uint8), np.frombuffer(b"abcdefgh", "<i2", 2, offset=2)

        def shared(buffer):
            return np.frombuffer(buffer, np.uint8)
        """,
    )
    codes, numbers = module.codes("cat")
    assert codes.tolist() == [99, 97, 116]
    assert not codes.flags.writeable
    assert codes.base is None
    assert numbers.tolist() == [0x6463, 0x6665]
    for buffer in (bytearray(b"x"), memoryview(b"x"), codes):
        with pytest.raises(GuardViolationError):
            module.shared(buffer)


def test_enumerations_made_by_a_call_are_of_who_calls(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        import enum

        Kind = enum.Enum("Kind", ["A", "B"])
        """,
    )
    assert [member.name for member in module.Kind] == ["A", "B"]
    assert module.Kind.__module__ == module.__name__
    ours = enum.Enum("Ours", "X Y")
    assert ours.__module__ == __name__
    assert enum.IntFlag("Named", {"A": 1}, module="elsewhere").__module__ == "elsewhere"


def test_ranges_with_a_progress_bar(tmp_path: Path) -> None:
    pytest.importorskip("tqdm")
    module = written(
        tmp_path,
        """
        from tqdm.autonotebook import trange
        from tqdm.std import trange as plain

        def run():
            return list(trange(2, disable=True)), list(plain(1, 3, disable=True))
        """,
    )
    assert module.run() == ([0, 1], [1, 2])


def _vocabulary(folder: Path) -> None:
    """The single bytes and one merge, in both forms that tiktoken reads."""
    singles = [b for b in range(256) if chr(b).isprintable() and chr(b) != " "]
    others = [b for b in range(256) if b not in singles]
    letters = {b: chr(b) for b in singles} | {b: chr(256 + n) for n, b in enumerate(others)}
    ranks = {bytes([b]): rank for rank, b in enumerate(singles + others)} | {b"ca": 256}
    lines = [base64.b64encode(token).decode() + f" {rank}" for token, rank in ranks.items()]
    (folder / "a.tiktoken").write_text("\n\n".join(lines), encoding="ascii")
    (folder / "broken.tiktoken").write_text("Y2E= 1\nY2E=\n", encoding="ascii")
    (folder / "vocab.bpe").write_text("#version\nc a\n", encoding="utf-8")
    encoder = {"".join(letters[b] for b in token): rank for token, rank in ranks.items()}
    (folder / "encoder.json").write_text(json.dumps(encoder), encoding="utf-8")


def test_tiktoken_reads_files_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = pytest.importorskip("tiktoken.load")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "cache"))
    folder, other = tmp_path / "own", tmp_path / "other"
    for path in (folder, other):
        path.mkdir()
        _vocabulary(path)
    module = written(
        tmp_path,
        """
        from tiktoken.load import data_gym_to_mergeable_bpe_ranks, load_tiktoken_bpe

        def ranks(*arguments):
            return load_tiktoken_bpe(*arguments)

        def merged(vocab, encoder, **keywords):
            return data_gym_to_mergeable_bpe_ranks(vocab_bpe_file=vocab, encoder_json_file=encoder, **keywords)
        """,
    )
    digest = hashlib.sha256((folder / "a.tiktoken").read_bytes()).hexdigest()
    names = {path.name: str(path) for path in folder.iterdir()}
    with writing_below(str(folder)):
        ranks = module.ranks(names["a.tiktoken"], digest)
        assert ranks == module.ranks(names["a.tiktoken"])
        assert module.merged(names["vocab.bpe"], names["encoder.json"]) == ranks
        failures = [
            _failure(module.ranks, names["a.tiktoken"], "0" * 64),
            _failure(module.ranks, names["broken.tiktoken"]),
            _failure(module.ranks, str(folder / "missing")),
        ]
        for path in ("a.tiktoken", "https://host/a.tiktoken"):
            with pytest.raises(GuardViolationError, match="not inside"):
                module.ranks(str(other / path))
        with pytest.raises(GuardViolationError, match="not inside"):
            module.merged(names["vocab.bpe"], str(other / "encoder.json"))
        assert _failure(module.ranks, os.path.relpath(str(other / "a.tiktoken")))[0] is GuardViolationError
    assert not (tmp_path / "cache").exists()
    assert load.load_tiktoken_bpe(names["a.tiktoken"], digest) == ranks
    assert load.data_gym_to_mergeable_bpe_ranks(names["vocab.bpe"], names["encoder.json"]) == ranks
    (tmp_path / "cache").rename(tmp_path / "used")
    assert failures == [
        _failure(load.load_tiktoken_bpe, names["a.tiktoken"], "0" * 64),
        _failure(load.load_tiktoken_bpe, names["broken.tiktoken"]),
        _failure(load.load_tiktoken_bpe, str(folder / "missing")),
    ]


def _failure(function: Any, *arguments: str) -> tuple[type, str]:
    try:
        function(*arguments)
    except Exception as error:
        return type(error), str(error)
    raise AssertionError("did not fail")


def test_parts_of_a_tokenizer_tell_their_settings(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    module = written(
        tmp_path,
        """
        import json
        from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors

        def settings():
            parts = [normalizers.Lowercase(), pre_tokenizers.ByteLevel(), decoders.Metaspace(), models.Unigram(),
                     processors.BertProcessing(("a", 1), ("b", 2))]
            return [json.loads(part.__getstate__())["type"] for part in parts]

        def of(part):
            return part.__getstate__()

        def changed(part, state):
            part.__setstate__(state)
        """,
    )
    assert module.settings() == ["Lowercase", "ByteLevel", "Metaspace", "Unigram", "BertProcessing"]
    tokenizers = pytest.importorskip("tokenizers")
    with pytest.raises(GuardViolationError, match="__setstate__"):
        module.changed(tokenizers.normalizers.Lowercase(), b"{}")
    forged = enum.Enum("Forged", "A", module="tokenizers.models")
    for part in (tokenizers.normalizers.Lowercase, tokenizers.decoders.DecodeStream(skip_special_tokens=False), torch.nn.Linear(1, 1), forged.A):
        with pytest.raises(GuardViolationError, match="__getstate__"):
            module.of(part)


def test_operators_under_their_special_names(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        from operator import __add__, __and__ as both, __eq__, __invert__, add

        same = __add__ is add

        def used():
            return __add__(1, 2), both(6, 3), __eq__(1, 1), __invert__(0)

        def missing():
            from operator import __radd__
        """,
    )
    assert module.used() == (3, 2, True, -1)
    assert module.same
    with pytest.raises(ImportError):
        module.missing()
