"""Objects that libraries share go on working for remote code that only uses them."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("RestrictedPython")
pytest.importorskip("transformers")

from pinned import pin_folder
from safe_remote_code.errors import GuardViolationError
from safe_remote_code.pipeline import load_package
from safe_remote_code.reference import parse


def _module(folder: Path, text: str) -> Any:
    repo, lockfile = folder / "repo", folder / "remote-code.lock"
    repo.mkdir()
    (repo / "main.py").write_text(textwrap.dedent(text) + "\n\nclass Main:\n    pass\n", encoding="utf-8")
    pin_folder(repo, lockfile)
    return load_package(parse("main.Main", repo), policy="default", lockfile=lockfile).module("main.py")


def test_tables_are_read(tmp_path: Path) -> None:
    module = _module(
        tmp_path,
        """
        import transformers
        from transformers.activations import ACT2FN
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

        found = [ACT2FN["silu"]]
        known = "gelu" in ACT2FN, len(ACT2FN) > 5, "gelu" in list(ACT2FN.keys()), ACT2FN.get("none of these")
        bert = CONFIG_MAPPING_NAMES["bert"]
        model = transformers.MODEL_MAPPING[transformers.BertConfig].__name__
        """,
    )
    assert type(module.found[0]).__name__.startswith("SiLU")
    assert module.known == (True, True, True, None)
    assert (module.bert, module.model) == ("BertConfig", "BertModel")


def test_a_pipeline_of_its_own_is_registered_once(tmp_path: Path) -> None:
    from transformers.pipelines import PIPELINE_REGISTRY

    module = _module(
        tmp_path,
        """
        from transformers import Pipeline
        from transformers.pipelines import PIPELINE_REGISTRY

        class Own(Pipeline):
            pass

        def register(task):
            PIPELINE_REGISTRY.register_pipeline(task, pipeline_class=Own)
        """,
    )
    module.register("red-team-own-task")
    try:
        assert PIPELINE_REGISTRY.supported_tasks["red-team-own-task"]["impl"] is module.Own
        with pytest.raises(GuardViolationError, match="registering the pipeline"):
            module.register("text-classification")
    finally:
        PIPELINE_REGISTRY.supported_tasks.pop("red-team-own-task", None)


def test_modules_are_parametrized(tmp_path: Path) -> None:
    module = _module(
        tmp_path,
        """
        import torch
        from torch.nn.utils import remove_weight_norm, weight_norm
        from torch.nn.utils.parametrizations import weight_norm as new_weight_norm
        from torch.nn.utils.parametrize import remove_parametrizations
        from torch.nn.utils.weight_norm import WeightNorm

        old = weight_norm(torch.nn.Linear(2, 2), name="weight")
        is_hook = [isinstance(hook, WeightNorm) for hook in old._forward_pre_hooks.values()]
        remove_weight_norm(old)
        new = new_weight_norm(torch.nn.Conv1d(2, 2, 1))
        twice = new_weight_norm(new, "bias", 0)
        remove_parametrizations(new, "weight")
        """,
    )
    assert module.is_hook == [True]
    assert type(module.old.weight).__name__ == "Parameter"
    assert list(module.new.parametrizations) == ["bias"]


def test_a_saved_folder_and_a_path_are_what_they_were(tmp_path: Path) -> None:
    module = _module(
        tmp_path,
        """
        import inspect
        from pathlib import Path

        text = Path(__file__).with_name("main.py").read_text()
        names = inspect.getfullargspec(lambda a, b=1: a).args
        """,
    )
    assert "getfullargspec" in module.text
    assert module.names == ["a", "b"]
