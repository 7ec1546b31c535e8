"""Inputs for a model that nobody has described: guessed from its forward, its `main_input_name` and its configuration.

A guess need not make sense, only run: values are zeros, shapes the smallest that the configuration allows. Where
two layouts are usual, both are guessed, the likelier first.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Final

_TOKENS: Final = 8
_SAMPLES: Final = 16_000  # a second of sound, as most models sample it
_FRAMES: Final = 128
_BINS: Final = 80
_SIDE: Final = 32
#: Parts of a configuration that describe an encoder.
_PARTS: Final = ("audio_config", "speech_config", "encoder_config", "audio_encoder", "encoder", "vision_config")
#: How configurations name the length of one frame of sound.
_BIN_KEYS: Final = ("num_mel_bins", "n_mels", "input_feat_per_channel", "feature_size", "feature_projection_input_dim",
                    "feat_dim", "input_dim", "input_size", "mel_bins")  # fmt: skip


def guesses(model: Any, config: Any) -> tuple[dict[str, Any], ...]:
    """Keyword arguments for the forward of `model`, in the order in which to try them; at least one."""
    names = inspect.signature(model.forward).parameters
    main = _main_input(model)
    known = {"input_ids": _ids, "pixel_values": _pictures, "input_features": _features, "input_values": _waves}
    fixed: dict[str, Any] = {}
    for name in ("input_ids", "pixel_values"):  # optional ones as well: a model of two kinds of input should see both
        if name in names and name != main:
            fixed[name] = next(known[name](config))
    for name in ("input_features", "input_values"):
        if name in names and name != main and names[name].default is inspect.Parameter.empty:
            fixed[name] = next(known[name](config))
    if "decoder_input_ids" in names and getattr(config, "is_encoder_decoder", False):
        fixed["decoder_input_ids"] = next(_ids(config))
    if main not in names or main not in known:
        return (_typed(fixed, model),)
    return tuple(_typed({main: value, **fixed}, model) for value in known[main](config))


def generate_inputs(model: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """Those of `inputs` that `generate` takes: the main one; and what a `generate` of the repository's own names."""
    names, main = inspect.signature(model.generate).parameters, _main_input(model)
    anything = any(item.kind is inspect.Parameter.VAR_KEYWORD for item in names.values())
    return {name: value for name, value in inputs.items() if name in names or (name == main and anything)}


def text_ids() -> Any:
    """Token ids of a short text, in any vocabulary."""
    import torch

    return torch.arange(1, _TOKENS + 1).reshape(1, -1)


def _main_input(model: Any) -> str:
    return str(getattr(model, "main_input_name", "input_ids"))


def _typed(inputs: dict[str, Any], model: Any) -> dict[str, Any]:
    """Numbers in the precision of the model."""
    import torch

    dtype = getattr(model, "dtype", None)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        return inputs
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in inputs.items()}


def _ids(_: Any) -> Iterator[Any]:
    yield text_ids()


def _pictures(config: Any) -> Iterator[Any]:
    import torch

    side, channels = _number(config, ("image_size",), _SIDE), _number(config, ("num_channels", "in_channels"), 3)
    yield torch.zeros(1, channels, side, side)
    yield torch.zeros(1, _number(config, ("num_frames",), 2), channels, side, side)  # a film


def _features(config: Any) -> Iterator[Any]:
    import torch

    bins = _number(config, _BIN_KEYS, _BINS)
    positions = _number(config, ("max_source_positions",), 0)
    # Whisper and its kind have one position for two frames, and bins before frames; most others frames before bins.
    whisper, others = torch.zeros(1, bins, 2 * positions or _FRAMES), torch.zeros(1, _FRAMES, bins)
    yield from (whisper, others) if positions else (others, whisper)


def _waves(config: Any) -> Iterator[Any]:
    import torch

    waves = torch.zeros(1, _SAMPLES)
    bins = _number(config, _BIN_KEYS, 0)
    if bins:  # a spectrogram by that name
        yield torch.zeros(1, _number(config, ("max_length",), _FRAMES), bins)
    yield waves
    yield waves[:, None]  # with a channel


def _number(config: Any, names: tuple[str, ...], default: int) -> int:
    """The first of `names` that the configuration, or a part of it for an encoder, has as a positive number."""
    for part in (*(getattr(config, part, None) for part in _PARTS), config):
        for name in names:
            value = part.get(name) if isinstance(part, dict) else getattr(part, name, None)
            if type(value) is int and value > 0:
                return value
    return default
