"""Methods of libraries that ask for remote code go on working for it where it is honest, and for everybody else."""

from __future__ import annotations

import linecache
import logging
import warnings
from pathlib import Path

import pytest

pytest.importorskip("RestrictedPython")
pytest.importorskip("transformers")

from safe_remote_code.errors import GuardViolationError
from safe_remote_code.guard.context import writing_below

from .written import written


def test_plain_format_strings_are_formatted(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        import logging
        from collections import UserString
        from tqdm import tqdm

        class Sink:
            text = ""

            def write(self, text):
                self.text += text

            def flush(self):
                pass

        sink = Sink()
        for _ in tqdm([1, 2], file=sink, bar_format="{l_bar}{bar:10}| {n_fmt}/{total_fmt} {postfix}", postfix="x"):
            pass
        said = str(UserString("{} {name!r:>5}").format(1, name="a"))
        record = logging.getLogger("x").makeRecord("n", 20, "p", 1, "m", (), None)
        line = logging.Formatter("{levelname:>6} {message}", style="{").format(record)
        """,
    )
    assert "2/2" in module.sink.text
    assert (module.said, module.line) == ("1   'a'", "  INFO m")


def test_a_method_is_its_own_copy(tmp_path: Path) -> None:
    """Whatever its function is called by now: a copy would be looked up under that name."""
    module = written(
        tmp_path,
        """
        import copy
        import logging
        import types

        def look(self):
            return 1

        look.__name__ = "__globals__"
        method = types.MethodType(look, logging.getLogger)
        same = copy.copy(method) is method
        """,
    )
    assert module.same


def test_levels_are_set_of_its_own_loggers(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        import logging

        logger = logging.getLogger(__name__)
        logger.setLevel(logging.ERROR)
        logging.getLogger("asyncio").setLevel(51)
        """,
    )
    assert module.logger.level == logging.ERROR
    assert logging.getLogger("asyncio").level == logging.NOTSET


def test_lines_of_other_files_are_left_out(tmp_path: Path) -> None:
    """The user's script calls a model that warns and logs: nothing is refused, and its text is not read."""
    module = written(
        tmp_path,
        """
        import logging
        import warnings

        def say():
            warnings.warn("old", stacklevel=2)
            logging.getLogger(__name__).error("a stack", stack_info=True)
        """,
    )
    linecache.clearcache()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        module.say()
    assert not linecache.cache.get(__file__)


def test_a_file_is_written_while_the_save_goes_on(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        def begin(path):
            return open(path, "w")

        def end(stream, text):
            stream.write(text)
            stream.close()
        """,
    )
    with writing_below(str(tmp_path)):
        module.end(module.begin(str(tmp_path / "kept.txt")), "kept")
        late = module.begin(str(tmp_path / "late.txt"))
    assert (tmp_path / "kept.txt").read_text() == "kept"
    with pytest.raises(GuardViolationError, match="a save that has ended"):
        module.end(late, "late")
    assert (tmp_path / "late.txt").read_text() == ""


def test_a_mask_keeps_its_function_whole(tmp_path: Path) -> None:
    """Its cells would be those of the guard's own `open`."""
    pytest.importorskip("torch.nn.attention.flex_attention")
    module = written(
        tmp_path,
        """
        import torch
        from torch.nn.attention.flex_attention import BlockMask
        from torch.utils._pytree import tree_flatten

        one = torch.ones(1, 1, 1, dtype=torch.int32)
        mask = BlockMask.from_kv_blocks(one, one[..., None], mask_mod=open)
        leaves, spec = tree_flatten(mask)
        kinds = {type(leaf).__name__ for leaf in leaves}
        """,
    )
    assert module.kinds <= {"Tensor", "NoneType", "int", "BlockMask"}


def test_remote_code_does_not_vouch_for_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = pytest.importorskip("transformers.integrations.hub_kernels")
    if not hasattr(kernels, "ALLOW_ALL_KERNELS"):
        pytest.skip("this transformers has no such setting")
    module = written(
        tmp_path,
        """
        from transformers import PretrainedConfig, PreTrainedModel

        class Config(PretrainedConfig):
            model_type = "kernels"

        class Model(PreTrainedModel):
            config_class = Config
            _supports_flash_attn = True
            _supports_sdpa = True

            def forward(self):
                self.set_attn_implementation("someone/kernel", allow_all_kernels=True)

        def make():
            return Model._from_config(Config(), allow_all_kernels=True)
        """,
    )
    model = module.Model._from_config(module.Config(), allow_all_kernels=True)  # by the user
    with pytest.raises(GuardViolationError, match="allow_all_kernels, given by remote code"):
        module.make()
    monkeypatch.setattr(kernels, "is_kernels_available", lambda: True)
    with pytest.raises(ValueError, match="allow_all_kernels, given by remote code"):
        model.forward()
