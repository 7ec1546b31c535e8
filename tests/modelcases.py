"""What to do with each of the models in `fixtures/models`: which Auto classes load it, and inputs for it.

The inputs are functions of the text and the pictures written here and of the preprocessor that is given, so
that a native and a guarded run of the same fixture see the same bytes. Every batch has padding in it, on the
side that the preprocessor pads.

This module does not import transformers: it works on what the Auto classes returned, whoever loaded them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from PIL import Image

FIXTURES: Final = Path(__file__).resolve().parent.parent / "fixtures" / "models"
IGNORED_LABEL: Final = -100

Inputs = dict[str, Any]  # argument of forward -> tensor


def decoder_inputs(tokenizer: Any) -> Inputs:
    """Two prompts of different length, padded on the left as generation wants it."""
    prompts = ["The cat sat on the mat", "we read the code of a small model, and that is what we test:"]
    return dict(tokenizer(prompts, padding=True, return_tensors="pt"))


def decoder_training_inputs(tokenizer: Any) -> Inputs:
    """The prompts with the labels and the positions that a collator would add."""
    inputs = decoder_inputs(tokenizer)
    place = inputs["attention_mask"].cumsum(-1)
    inputs["position_ids"] = (place - 1).clamp(min=0)
    # the first token is no target either: what comes before it is padding
    inputs["labels"] = inputs["input_ids"].masked_fill(place <= 1, IGNORED_LABEL)
    return inputs


def encoder_inputs(tokenizer: Any) -> Inputs:
    """Two sentences of different length, one of them with a mask token."""
    sentences = ["the cat sat on the mat.", f"we read that the {tokenizer.mask_token} is small, not bad"]
    return dict(tokenizer(sentences, padding=True, return_tensors="pt"))


def encoder_training_inputs(tokenizer: Any) -> Inputs:
    """The sentences with every third token as a target, the others and the padding ignored."""
    inputs = encoder_inputs(tokenizer)
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, IGNORED_LABEL)
    labels[:, 0::3] = IGNORED_LABEL
    labels[:, 1::3] = IGNORED_LABEL
    inputs["labels"] = labels
    return inputs


def picture(width: int, height: int) -> Image.Image:
    """A picture without two equal rows or columns, so that a swapped axis or tile shows."""
    rows, columns = np.indices((height, width))
    channels = [rows * 7 + columns * 3, rows * 2 + columns * 11, rows * columns]
    return Image.fromarray(np.stack([channel % 256 for channel in channels], axis=-1).astype(np.uint8))


def vision_language_inputs(processor: Any) -> Inputs:
    """A wide picture, which is cut into tiles, and a square one, which is not."""
    pictures = [picture(80, 40), picture(30, 30)]
    prompts = ["<image> what is it?", "<image> a cat, or is it a tree on a mat?"]
    return dict(processor(images=pictures, text=prompts, return_tensors="pt"))


def vision_language_training_inputs(processor: Any) -> Inputs:
    """The prompts with labels that leave out the padding and the places of the visual tokens."""
    inputs = vision_language_inputs(processor)
    context = processor.tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>")
    place = inputs["attention_mask"].cumsum(-1)
    ignored = (place <= 1) | (inputs["input_ids"] == context)
    inputs["position_ids"] = (place - 1).clamp(min=0)
    inputs["labels"] = inputs["input_ids"].masked_fill(ignored, IGNORED_LABEL)
    return inputs


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCase:
    """How one fixture is loaded and run."""

    name: str
    auto_class: str  # of the model that is trained, saved and reloaded
    other_heads: tuple[str, ...]  # further Auto classes that the repository serves
    preprocessor: str  # Auto class whose object `inputs` takes
    inputs: Callable[[Any], Inputs]
    training_inputs: Callable[[Any], Inputs]
    generations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # name -> arguments of generate
    compiles: bool = False  # torch.compile(fullgraph=True) takes the whole forward

    @property
    def directory(self) -> Path:
        """The fixture as it would lie on the Hub."""
        return FIXTURES / self.name


_GREEDY: Final[Mapping[str, Any]] = {"max_new_tokens": 12, "do_sample": False}
_GENERATIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "greedy": _GREEDY,
    "no-cache": {**_GREEDY, "use_cache": False},
    "beams": {**_GREEDY, "num_beams": 3},
    "sampled": {"max_new_tokens": 12, "do_sample": True, "temperature": 0.7, "top_k": 20},
}

DECODER: Final = ModelCase(
    name="decoder",
    auto_class="AutoModelForCausalLM",
    other_heads=("AutoModel",),
    preprocessor="AutoTokenizer",
    inputs=decoder_inputs,
    training_inputs=decoder_training_inputs,
    generations=_GENERATIONS,
    compiles=True,
)
VISION_LANGUAGE: Final = ModelCase(
    name="vision_language",
    auto_class="AutoModelForCausalLM",
    other_heads=("AutoModel", "AutoModelForImageTextToText"),
    preprocessor="AutoProcessor",
    inputs=vision_language_inputs,
    training_inputs=vision_language_training_inputs,
    generations=_GENERATIONS,
)
ENCODER: Final = ModelCase(
    name="encoder",
    auto_class="AutoModelForMaskedLM",
    other_heads=("AutoModel", "AutoModelForSequenceClassification"),
    preprocessor="AutoTokenizer",
    inputs=encoder_inputs,
    training_inputs=encoder_training_inputs,
)

CASES: Final = (DECODER, VISION_LANGUAGE, ENCODER)


def case_of(directory: Path) -> ModelCase:
    """The case whose model type a folder declares, so that a copy or a checkpoint finds its case too.

    Raises:
        LookupError: the folder holds none of the fixtures.
    """
    model_type = _model_type(directory)
    for case in CASES:
        if _model_type(case.directory) == model_type:
            return case
    raise LookupError(f"{directory} has model type {model_type!r}, which no fixture has")


def _model_type(directory: Path) -> str:
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    return str(config["model_type"])
