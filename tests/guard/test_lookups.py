"""Look-ups by computed name in library code: as ever for everybody, and asked about for remote code."""

from __future__ import annotations

import importlib
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("RestrictedPython")
pytest.importorskip("transformers")

import transformers

from safe_remote_code.errors import GuardViolationError
from safe_remote_code.guard import ownership
from safe_remote_code.guard.armour.lookups import _getattr, _setattr
from safe_remote_code.guard.context import writing_below
from safe_remote_code.guard.tombstone import Tombstone

from .written import written


class _Lies(str):
    """Equal to nothing."""

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0


def test_without_remote_code_they_are_the_builtins() -> None:
    holder = type("Holder", (), {})
    _setattr(holder, "name", 1)
    assert _getattr(holder, "name") == 1
    assert _getattr(holder, "absent", None) is None
    with pytest.raises(AttributeError):
        _getattr(holder, "absent")
    names = ["__globals__"]
    assert _getattr(test_without_remote_code_they_are_the_builtins, names[0]) is globals()


def test_library_modules_have_them_and_the_users_own_do_not(tmp_path: Path) -> None:
    written(tmp_path, "from transformers.modeling_utils import PreTrainedModel")
    assert vars(transformers.modeling_utils)["getattr"] is _getattr
    assert "getattr" not in globals()


@pytest.mark.parametrize("name", ["'__globals__'", "lies"])
def test_a_name_that_remote_code_chose_reveals_nothing(tmp_path: Path, name: str) -> None:
    module = written(tmp_path, "def through(function, *arguments):\n    return function(*arguments)\nlies = None")
    chosen = _Lies("__globals__") if name == "lies" else "__glob" + "als__"
    with pytest.raises(GuardViolationError, match="a name that remote code chose"):
        module.through(_getattr, transformers.set_seed, chosen)


def test_no_module_is_found_by_a_name_that_remote_code_chose(tmp_path: Path) -> None:
    module = written(tmp_path, "def through(function, *arguments):\n    return function(*arguments)")
    chosen = "".join(["o", "s"])
    with pytest.raises(GuardViolationError, match="the module 'os'"):
        module.through(_getattr, transformers.modeling_utils, chosen)


def test_foreign_classes_and_special_names_are_not_written_to(tmp_path: Path) -> None:
    module = written(tmp_path, "def through(function, *arguments):\n    return function(*arguments)\nclass Own:\n    pass")
    for target, chosen in ((transformers.BertConfig, "".join(["a", "b"])), (module.Own(), "__re" + "duce__")):
        with pytest.raises(GuardViolationError):
            module.through(_setattr, target, chosen, 1)
    module.through(_setattr, module.Own, "".join(["a", "b"]), 1)
    assert module.Own.ab == 1


def test_a_thread_that_remote_code_starts_is_its_own_whatever_its_object_says(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        import threading

        class Nobody(threading.Thread):
            def __eq__(self, other):
                return False

            def __hash__(self):
                return 0

        def start(function):
            thread = Nobody(target=function)
            thread.start()
            thread.join()
        """,
    )
    seen: list[Any] = []
    module.start(lambda: seen.append(ownership.context_of_thread()))
    assert [context is not None for context in seen] == [True]
    thread = threading.Thread(target=lambda: seen.append(ownership.context_of_thread()))
    thread.start()
    thread.join()
    assert seen[1] is None


def test_a_lazy_module_answers_for_its_own_parts(tmp_path: Path) -> None:
    module = written(tmp_path, "from transformers.utils import logging\nfrom transformers import utils\nlogger = logging.get_logger('x')")
    assert module.logger.name == "x"


def test_what_a_library_looks_up_by_a_table_of_its_own(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

def attend(q):
    with sdpa_kernel([SDPBackend.MATH]):
        inside = torch.backends.cuda.flash_sdp_enabled()
        return torch.nn.functional.scaled_dot_product_attention(q, q, q), inside
""",
    )
    torch = pytest.importorskip("torch")
    before = torch.backends.cuda.flash_sdp_enabled()
    out, inside = module.attend(torch.ones(1, 1, 2, 4))
    assert out.shape == (1, 1, 2, 4) and not inside
    assert torch.backends.cuda.flash_sdp_enabled() == before


@pytest.mark.parametrize(
    ("package", "name"),
    [("transformers", "pipeline"), ("transformers", "Trainer"), ("transformers", "RagRetriever"),
     ("huggingface_hub", "HfApi"), ("huggingface_hub", "ModelHubMixin")],
)  # fmt: skip
def test_a_name_that_nobody_uses_may_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, name: str
) -> None:
    """Whether or not the user has asked the lazy module for it before, which then keeps it."""
    real: Any = importlib.import_module(package)
    getattr(real, name)
    monkeypatch.delitem(vars(real), name, raising=False)
    module = written(
        tmp_path,
        f"""
        import {package}

        there = hasattr({package}, "{name}"), hasattr({package}, "missing_name")
        from {package} import {name}

        def missing():
            from {package} import missing_name

        def used():
            return {name}("x")
        """,
    )
    assert module.there == (True, False)
    assert isinstance(getattr(module, name), Tombstone)
    with pytest.raises(ImportError):
        module.missing()
    with pytest.raises(GuardViolationError, match="is not granted"):
        module.used()


def test_what_answers_a_facade_is_asked_by_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lazy module itself, and one that has something of remote code between it and the facade."""
    module = written(
        tmp_path,
        """
        import transformers

        class Between:
            def __getattr__(self, name):
                self.found = self.real(name)
                return self.found

        def through(function, *arguments):
            return function(*arguments)

        def by_facade(between, name):
            return getattr(transformers, name)
        """,
    )
    monkeypatch.delitem(vars(transformers), "pipeline", raising=False)
    chosen = "".join(["pipe", "line"])
    with pytest.raises(GuardViolationError, match="a name that remote code chose"):
        module.through(transformers.__getattr__, chosen)
    between = module.Between()
    between.real = transformers.__getattr__
    monkeypatch.setitem(sys.modules, "transformers", between)
    with pytest.raises(GuardViolationError, match="a name that remote code chose"):
        module.by_facade(between, chosen)
    assert not hasattr(type(between), "found") and "found" not in vars(between)


def test_a_tokenizer_of_a_library_is_found_by_its_name(tmp_path: Path) -> None:
    """transformers 5 writes a second name for it into the module that defines it."""
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat"]), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}', encoding="utf-8")
    module = written(
        tmp_path,
        """
        from transformers import AutoTokenizer

        def ids(folder):
            return AutoTokenizer.from_pretrained(folder)("cat")["input_ids"]
        """,
    )
    with writing_below(str(folder)):
        assert module.ids(str(folder)) == [2, 5, 3]


def test_tensors_are_saved_by_remote_code(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    module = written(
        tmp_path,
        """
        import io
        import torch

        def saved(tensors):
            stream = io.BytesIO()
            torch.save(tensors, stream)
            return stream

        def save(tensors, path):
            torch.save(tensors, path)
        """,
    )
    tensors = {"a": torch.arange(3.0), "b": torch.ones(2, dtype=torch.bfloat16), "c": torch.tensor([1, 2])}
    with pytest.raises(GuardViolationError, match=r"torch\.save"):
        module.save(tensors, str(tmp_path / "state.pt"))
    with writing_below(str(tmp_path)):
        module.save(tensors, str(tmp_path / "state.pt"))
    stream = module.saved(tensors)
    stream.seek(0)
    for read in (torch.load(stream, weights_only=True), torch.load(tmp_path / "state.pt", weights_only=True)):
        assert read.keys() == tensors.keys()
        assert all(torch.equal(read[name], value) for name, value in tensors.items())
