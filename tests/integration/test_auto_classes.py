"""Whatever transformers loads from a repository comes through the walls, and what they refuse stays refused."""

from __future__ import annotations

import builtins
import importlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pinned import pin_folder
from safe_remote_code import RefusedError, installed, refusals
from safe_remote_code.errors import PolicyError

from .repos import is_guarded, tiny, write

pytestmark = pytest.mark.torch

FEATURE_EXTRACTOR = """
from transformers import FeatureExtractionMixin


class PlainExtractor(FeatureExtractionMixin):
    model_input_names = ["values"]

    def __init__(self, scale=2, **kwargs):
        self.scale = scale
        super().__init__(**kwargs)

    def __call__(self, values):
        return [value * self.scale for value in values]
"""
PIPELINE = """
from transformers import Pipeline


class TinyPipeline(Pipeline):
    def _sanitize_parameters(self, **kwargs):
        return {}, {}, {}

    def preprocess(self, inputs):
        import torch

        return {"inputs": torch.tensor(inputs)}

    def _forward(self, model_inputs):
        return {"outputs": self.model(model_inputs["inputs"])}

    def postprocess(self, model_outputs):
        return model_outputs["outputs"].tolist()
"""
GENERATE = """
import torch

from .helpers import FILL


def generate(model, input_ids=None, **kwargs):
    return torch.full_like(input_ids, FILL)
"""


@pytest.fixture(scope="module")
def guarded(models_lock: Path) -> Iterator[None]:
    with installed(lockfile=models_lock):
        yield


def auto(name: str) -> Any:
    import transformers

    return getattr(transformers, name)


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize(
    ("auto_class", "fixture", "expected"),
    [
        ("AutoConfig", "decoder", "LarchConfig"),
        ("AutoConfig", "vision_language", "HeronConfig"),
        ("AutoTokenizer", "decoder", "LarchTokenizer"),
        ("AutoTokenizer", "vision_language", "HeronTokenizer"),
        ("AutoImageProcessor", "vision_language", "HeronImageProcessor"),
        ("AutoProcessor", "vision_language", "HeronProcessor"),
    ],
)
def test_an_auto_class_loads_a_guarded_class(auto_class: str, fixture: str, expected: str, fixtures: Path) -> None:
    found = auto(auto_class).from_pretrained(fixtures / "models" / fixture, trust_remote_code=True)
    assert type(found).__name__ == expected
    assert is_guarded(type(found))


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize(
    ("auto_class", "fixture"),
    [
        ("AutoModel", "decoder"), ("AutoModelForCausalLM", "decoder"), ("AutoModelForMaskedLM", "encoder"),
        ("AutoModelForSequenceClassification", "encoder"), ("AutoModel", "vision_language"),
    ],
)  # fmt: skip
def test_an_auto_class_makes_a_guarded_model(auto_class: str, fixture: str, fixtures: Path) -> None:
    from driver import built

    model = built(auto_class, fixtures / "models" / fixture, "cpu")
    assert is_guarded(type(model))
    assert is_guarded(type(model.config))


@pytest.mark.usefixtures("guarded")
def test_the_parts_of_a_processor_are_guarded(fixtures: Path) -> None:
    processor = auto("AutoProcessor").from_pretrained(fixtures / "models" / "vision_language", trust_remote_code=True)
    assert is_guarded(type(processor.tokenizer))
    assert is_guarded(type(processor.image_processor))


@pytest.mark.usefixtures("guarded")
def test_a_saved_processor_can_be_pinned_by_itself(fixtures: Path, tmp_path: Path) -> None:
    """transformers 5 names its parts inside `processor_config.json`, and nowhere else."""
    saved, lockfile = tmp_path / "saved_processor", tmp_path / "saved.lock"
    source = fixtures / "models" / "vision_language"
    auto("AutoProcessor").from_pretrained(source, trust_remote_code=True).save_pretrained(saved)
    package = pin_folder(saved, lockfile)
    assert "image_processing_heron.HeronImageProcessor" in package.entry_points
    with installed(lockfile=lockfile):
        processor = auto("AutoProcessor").from_pretrained(saved, trust_remote_code=True)
    assert is_guarded(type(processor.image_processor))


def test_a_feature_extractor_is_guarded(tmp_path: Path) -> None:
    config = {"auto_map": {"AutoFeatureExtractor": "extract_plain.PlainExtractor"}, "scale": 3,
              "feature_extractor_type": "PlainExtractor"}  # fmt: skip
    folder = write(
        tmp_path / "extractor",
        {"extract_plain.py": FEATURE_EXTRACTOR, "preprocessor_config.json": json.dumps(config)},
    )
    pin_folder(folder, tmp_path / "lock")
    with installed(lockfile=tmp_path / "lock"):
        found = auto("AutoFeatureExtractor").from_pretrained(folder, trust_remote_code=True)
    assert is_guarded(type(found))
    assert found([1, 2]) == [3, 6]


@pytest.fixture
def with_pipeline(tmp_path: Path) -> Path:
    """The tiny model with a pipeline of its own."""
    folder = tiny(tmp_path / "piped")
    config = json.loads((folder / "config.json").read_text())
    config["custom_pipelines"] = {"tiny-task": {"impl": "pipeline_tiny.TinyPipeline", "pt": ["AutoModel"]}}
    return write(folder, {"config.json": json.dumps(config), "pipeline_tiny.py": PIPELINE})


def test_a_pipeline_of_the_repository_is_guarded(with_pipeline: Path, tmp_path: Path) -> None:
    from transformers import pipeline

    pin_folder(with_pipeline, tmp_path / "lock")
    with installed(lockfile=tmp_path / "lock"):
        made = pipeline("tiny-task", model=str(with_pipeline), trust_remote_code=True, device="cpu")
    assert is_guarded(type(made))
    assert is_guarded(type(made.model))
    assert made([[1.0, 1.0]]) == [[3.0, 7.0]]


def with_generate(fixtures: Path, folder: Path) -> Path:
    shutil.copytree(fixtures / "models" / "decoder", folder)
    return write(
        folder, {"custom_generate/generate.py": GENERATE, "custom_generate/helpers.py": "FILL = 7\n"}
    )


def custom_generate_exists() -> bool:
    from transformers.generation import GenerationMixin

    return hasattr(GenerationMixin, "load_custom_generate")


def test_custom_generate_is_guarded(fixtures: Path, tmp_path: Path) -> None:
    """When it is asked for, and when `from_pretrained` finds it in the repository."""
    import torch

    from driver import built

    if not custom_generate_exists():
        pytest.skip("this transformers has no custom_generate")
    folder = with_generate(fixtures, tmp_path / "generating")
    pin_folder(folder, tmp_path / "lock")
    ids = torch.tensor([[1, 5, 9]])
    with installed(lockfile=tmp_path / "lock"):
        model = built("AutoModelForCausalLM", folder, "cpu")
        asked = model.generate(input_ids=ids, custom_generate=str(folder), trust_remote_code=True)
        model.save_pretrained(tmp_path / "weights")
        shutil.copy(tmp_path / "weights" / "model.safetensors", folder)
        found = auto("AutoModelForCausalLM").from_pretrained(folder, trust_remote_code=True)
        function = found.generate.func
    assert asked.tolist() == [[7, 7, 7]]
    assert function.__module__.startswith("transformers_modules.generating.")
    assert function.__globals__["__builtins__"] is not vars(builtins)
    assert found.generate(input_ids=ids).tolist() == [[7, 7, 7]]


def test_a_custom_generate_that_was_added_after_the_pin_is_refused(fixtures: Path, tmp_path: Path) -> None:
    """It is not taken for a repository without one."""
    from driver import built

    if not custom_generate_exists():
        pytest.skip("this transformers has no custom_generate")
    folder = tmp_path / "added"
    shutil.copytree(fixtures / "models" / "decoder", folder)
    pin_folder(folder, tmp_path / "lock")
    with installed(lockfile=tmp_path / "lock"):
        built("AutoModelForCausalLM", folder, "cpu").save_pretrained(folder)
        write(folder, {"custom_generate/generate.py": "def generate(model, **kwargs):\n    return 1\n"})
        with pytest.raises(RefusedError):
            auto("AutoModelForCausalLM").from_pretrained(folder, trust_remote_code=True)


def loading(auto_class: str) -> Callable[[Path], object]:
    def load(folder: Path) -> object:
        return auto(auto_class).from_pretrained(folder, trust_remote_code=True)

    return load


def piping(folder: Path) -> object:
    from transformers import pipeline

    return pipeline(model=str(folder), trust_remote_code=True)


def generating(folder: Path) -> object:
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=4, vocab_size=8))
    return model.generate(custom_generate=str(folder), trust_remote_code=True, max_new_tokens=1)


UNPINNED = {
    **{
        name: loading(name)
        for name in (
            "AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoTokenizer", "AutoProcessor", "AutoImageProcessor",
            "AutoFeatureExtractor",
        )
    },
    "pipeline": piping,
    "custom_generate": generating,
}  # fmt: skip


@pytest.mark.parametrize("way", sorted(UNPINNED))
def test_a_refusal_comes_through_and_is_kept(way: str, fixtures: Path, tmp_path: Path) -> None:
    """transformers catches OSError and ValueError around many loads, and goes on with something else."""
    if way == "custom_generate" and not custom_generate_exists():
        pytest.skip("this transformers has no custom_generate")
    folder = with_generate(fixtures, tmp_path / f"unpinned_{way}")
    shutil.copytree(fixtures / "models" / "vision_language", folder, dirs_exist_ok=True)
    if way == "AutoFeatureExtractor":
        config = {"auto_map": {"AutoFeatureExtractor": "x.X"}, "feature_extractor_type": "X"}
        write(folder, {"preprocessor_config.json": json.dumps(config), "x.py": "class X:\n    pass\n"})
    before = {id(error) for error in refusals()}
    with installed(lockfile=tmp_path / "lock"), pytest.raises(RefusedError) as raised:
        UNPINNED[way](folder)
    new = [error for error in refusals() if id(error) not in before]
    assert raised.value in new
    assert all(error.code == "not-pinned" and "safe-remote-code pin" in error.remedy for error in new)


@pytest.mark.parametrize("auto_class", ["AutoTokenizer", "AutoProcessor"])
def test_a_repository_without_model_code_is_refused_as_well(
    auto_class: str, fixtures: Path, tmp_path: Path
) -> None:
    """Only the tokenizer or processor is remote here: the last resorts of these classes lie behind."""
    folder = tmp_path / "only_tokenizer"
    shutil.copytree(fixtures / "models" / "vision_language", folder)
    (folder / "config.json").unlink()
    with installed(lockfile=tmp_path / "lock"), pytest.raises(RefusedError):
        auto(auto_class).from_pretrained(folder, trust_remote_code=True)


def test_the_remedy_of_a_refusal_works_as_it_is_printed(fixtures: Path, tmp_path: Path) -> None:
    import shlex
    import subprocess
    import sys

    folder, lockfile = tmp_path / "with space", tmp_path / "my.lock"
    shutil.copytree(fixtures / "models" / "decoder", folder)
    with installed(lockfile=lockfile):
        with pytest.raises(RefusedError) as raised:
            loading("AutoConfig")(folder)
        command = shlex.split(raised.value.remedy.splitlines()[0])
        assert command[:2] == ["safe-remote-code", "pin"]
        subprocess.run([sys.executable, "-m", "safe_remote_code", *command[1:]], check=True, capture_output=True)
        assert is_guarded(type(loading("AutoConfig")(folder)))


def test_without_trust_remote_code_nothing_of_ours_is_asked(fixtures: Path, tmp_path: Path) -> None:
    """Refusing is transformers' own business there, and its own error."""
    with installed(lockfile=tmp_path / "lock"), pytest.raises(ValueError, match="trust_remote_code"):
        auto("AutoConfig").from_pretrained(fixtures / "models" / "decoder", trust_remote_code=False)


def test_a_class_that_is_no_entry_point_is_refused_with_the_command_that_adds_it(
    fixtures: Path, models_lock: Path
) -> None:
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    from safe_remote_code.integrations.dynamic_module import get_class_from_dynamic_module as ours

    assert get_class_from_dynamic_module is not ours
    with pytest.raises(RefusedError, match="--entry vocabulary.Vocabulary"):
        ours("vocabulary.Vocabulary", fixtures / "models" / "decoder", lockfile=models_lock)


def test_what_is_handed_out_is_made_by_the_code(tmp_path: Path) -> None:
    """A decorated function is; a library's class, of which transformers would set attributes, is not."""
    text = "import torch\nfrom transformers import BertModel\n\n\n@torch.no_grad()\ndef generate(x):\n    return x + 1\n\n\nclass Own:\n    pass\n"
    folder = write(tmp_path / "parts", {"parts.py": text})
    pin_folder(folder, tmp_path / "lock", "parts.generate", "parts.BertModel", "parts.torch")
    with installed(lockfile=tmp_path / "lock"):
        home = importlib.import_module("transformers.dynamic_module_utils")
        assert home.get_class_from_dynamic_module("parts.generate", folder)(1) == 2
        for name in ("BertModel", "torch"):
            with pytest.raises(PolicyError, match=f"{name} is not made by this code"):
                home.get_class_from_dynamic_module(f"parts.{name}", folder)
