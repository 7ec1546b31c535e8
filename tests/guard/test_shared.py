"""Objects that libraries share go on working for remote code that only uses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("RestrictedPython")
pytest.importorskip("transformers")

from safe_remote_code.errors import GuardViolationError

from .written import written


def test_tables_are_read(tmp_path: Path) -> None:
    module = written(
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

    module = written(
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
    module = written(
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
    module = written(
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


def test_a_converter_and_an_activation_of_its_own_are_added(tmp_path: Path) -> None:
    from transformers.activations import ACT2CLS
    from transformers.convert_slow_tokenizer import SLOW_TO_FAST_CONVERTERS

    module = written(
        tmp_path,
        """
        import torch
        from transformers.activations import ACT2CLS, ClassInstantier
        from transformers.convert_slow_tokenizer import SLOW_TO_FAST_CONVERTERS, SpmConverter

        class Own(SpmConverter):
            pass

        class Gate(torch.nn.Module):
            pass

        SLOW_TO_FAST_CONVERTERS["RedTeamOwnTokenizer"] = Own
        ACT2CLS["red-team-gate"] = Gate
        made = ClassInstantier(ACT2CLS)["red-team-gate"], ClassInstantier(ACT2CLS)["silu"]

        def replace(table, key, value):
            {"tokenizer": SLOW_TO_FAST_CONVERTERS, "activation": ACT2CLS}[table][key] = value
        """,
    )
    try:
        assert SLOW_TO_FAST_CONVERTERS["RedTeamOwnTokenizer"] is module.Own
        assert "red-team-gate" not in ACT2CLS
        assert [type(item).__name__ for item in module.made] == ["Gate", type(ACT2CLS["silu"]()).__name__]
        for table, key, value in (
            ("tokenizer", "BertTokenizer", module.Own), ("tokenizer", "RedTeamOther", dict),
            ("activation", "silu", module.Gate), ("activation", ["silu"], module.Gate),
        ):  # fmt: skip
            with pytest.raises(GuardViolationError, match="the entry"):
                module.replace(table, key, value)
    finally:
        SLOW_TO_FAST_CONVERTERS.pop("RedTeamOwnTokenizer", None)


def test_functions_of_its_own_are_added_to_the_tables_of_a_package(tmp_path: Path) -> None:
    from transformers.activations import ACT2FN
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    module = written(
        tmp_path,
        """
        import torch
        from transformers.activations import ACT2FN
        from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

        class Gate(torch.nn.Module):
            def forward(self, x):
                return x

        def attend(module, query, key, value, mask=None, **kwargs):
            return query, None

        ACT2FN["red-team-gate"] = Gate
        ROPE_INIT_FUNCTIONS["red-team-rope"] = attend
        ALL_ATTENTION_FUNCTIONS["red_team_attention"] = attend

        def looked_up():
            from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS as again

            return ACT2FN["red-team-gate"], ACT2FN["silu"], again["red_team_attention"], ROPE_INIT_FUNCTIONS["red-team-rope"]

        def replace(table, key):
            {"activation": ACT2FN, "rope": ROPE_INIT_FUNCTIONS}[table][key] = attend
        """,
    )
    gate, silu, attend, rope = module.looked_up()
    assert (type(gate), type(silu)) == (module.Gate, type(ACT2FN["silu"])) and attend is rope is module.attend
    assert "red-team-gate" not in ACT2FN and "red_team_attention" not in ALL_ATTENTION_FUNCTIONS
    for table, key in (("activation", "silu"), ("rope", "linear"), ("rope", 1)):
        with pytest.raises(GuardViolationError, match="the entry"):
            module.replace(table, key)


def test_an_attention_of_its_own_is_registered_for_all(tmp_path: Path) -> None:
    utils = pytest.importorskip("transformers.modeling_utils")
    if not hasattr(utils, "AttentionInterface"):
        pytest.skip("before transformers 4.50 the registry is a dict")
    module = written(
        tmp_path,
        """
        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface

        def attend(module, query, key, value, mask=None, **kwargs):
            return query, None

        AttentionInterface.register("red_team_by_class", attend)
        ALL_ATTENTION_FUNCTIONS.register(key="red_team_by_instance", value=attend)
        ALL_ATTENTION_FUNCTIONS["sdpa"] = attend

        def register(name, receiver=AttentionInterface):
            receiver.register(name, attend)
        """,
    )
    table = utils.AttentionInterface._global_mapping
    try:
        assert table["red_team_by_class"] is table["red_team_by_instance"] is module.attend
        assert utils.ALL_ATTENTION_FUNCTIONS["sdpa"] is not module.attend
        module.register("red_team_by_class")
        for receiver in (module.AttentionInterface, module.ALL_ATTENTION_FUNCTIONS):
            with pytest.raises(GuardViolationError, match="registering 'sdpa'"):
                module.register("sdpa", receiver)
    finally:
        for name in ("red_team_by_class", "red_team_by_instance"):
            table.pop(name, None)


def test_a_sentencepiece_model_is_changed_in_memory(tmp_path: Path) -> None:
    pytest.importorskip("google.protobuf")
    module = written(
        tmp_path,
        """
        from transformers.convert_slow_tokenizer import import_protobuf

        messages = import_protobuf("The new behaviour of a tokenizer")
        model = messages.ModelProto.FromString(messages.ModelProto().SerializeToString())
        spec = messages.NormalizerSpec()
        spec.add_dummy_prefix = False
        model.normalizer_spec.MergeFrom(spec)
        kept = messages.ModelProto.FromString(model.SerializeToString()).normalizer_spec.add_dummy_prefix

        def pool():
            return messages._descriptor_pool.Default()

        def extract(path):
            from transformers.convert_slow_tokenizer import SentencePieceExtractor

            return SentencePieceExtractor(path)
        """,
    )
    assert module.kept is False
    with pytest.raises(GuardViolationError):
        module.pool()
    with pytest.raises(GuardViolationError, match="may not be read|file-read|read"):
        module.extract(str(Path(__file__)))


def test_annotations_are_names_and_plain_types(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        import typing
        import transformers
        from transformers.processing_utils import ImagesKwargs

        class Own(ImagesKwargs, total=False):
            tiles: int
            model: transformers.PreTrainedModel

        own, names = Own.__annotations__, set(ImagesKwargs.__annotations__.keys())
        assert getattr(Own, "__annotations__").keys() == own.keys()

        def of(value):
            return value.__annotations__

        def add():
            Own.__annotations__["other"] = int
        """,
    )
    from transformers.processing_utils import ImagesKwargs

    assert module.own["tiles"] is int and module.own["model"] is Any
    assert module.names == set(ImagesKwargs.__annotations__)
    with pytest.raises(TypeError, match="item assignment"):
        module.add()
    with pytest.raises(GuardViolationError, match="annotations of a module"):
        module.of(pytest)


def test_functions_of_its_own_are_bound(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        def forward(self, x):
            return self.bias + x

        class Layer:
            bias = 2

        layer = Layer()
        layer.forward = forward.__get__(layer, Layer)
        found = layer.forward(3)

        def bind(function):
            return function.__get__(layer)
        """,
    )
    assert module.found == 5
    for foreign in (written, property(int), Path.exists, len):
        with pytest.raises(GuardViolationError, match="no function of this code"):
            module.bind(foreign)


def test_defaults_of_processors_are_copies(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        from transformers.models.vit.image_processing_vit import ViTImageProcessor

        class Own(ViTImageProcessor):
            image_mean = [0.5, 0.5, 0.5]

        def change():
            ViTImageProcessor.model_input_names.clear()
            for cls in (ViTImageProcessor, Own):
                cls.size["height"] = 1
            Own.image_mean.append(1.0)
        """,
    )
    from transformers.models.vit.image_processing_vit import ViTImageProcessor

    if not hasattr(ViTImageProcessor, "size"):
        pytest.skip("the processors of this transformers have no defaults of their class")
    before = ViTImageProcessor.size, ViTImageProcessor.model_input_names
    module.change()
    assert (ViTImageProcessor.size, ViTImageProcessor.model_input_names) == before
    assert before[0] and before[1]
    assert module.Own.image_mean == [0.5, 0.5, 0.5, 1.0]  # its own list is the one that it wrote


def test_settings_of_the_process_stay_the_users(tmp_path: Path) -> None:
    import gc
    import warnings

    import numpy as np
    import torch
    from transformers import logging

    module = written(
        tmp_path,
        """
        import gc
        import warnings

        import numpy as np
        import torch
        from transformers import logging

        warnings.filterwarnings("ignore")

        def change():
            gc.disable()
            warnings.simplefilter("error")
            np.set_printoptions(precision=1)
            torch.set_printoptions(precision=1)
            logging.set_verbosity_error()
            logging.disable_progress_bar()

        def quiet():
            with warnings.catch_warnings(record=True) as log:
                warnings.simplefilter("always")
                warnings.warn("one")
                warnings.warn("one")
            return len(log)
        """,
    )

    def settings() -> tuple[object, ...]:
        printed = str(np.array([1.2345])), str(torch.tensor([1.2345]))
        return gc.isenabled(), list(warnings.filters), printed, logging.get_verbosity(), logging.is_progress_bar_enabled()

    before = settings()
    module.change()
    assert settings() == before
    assert module.quiet() == 2
    assert settings() == before
