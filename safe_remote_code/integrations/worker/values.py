"""Tensors, arrays, pictures, outputs and configurations as tagged values: both sides of the boundary.

Decoding trusts nothing: dtypes and devices come from lists, shapes were bounded by the protocol, booleans are
made of bytes that may be anything, and a class of transformers is chosen only from those that hold outputs.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import PurePath
from typing import Any, Final

from ...errors import WorkerProtocolError
from ...worker.frames import DTYPES
from ...worker.values import Decoder, Encoder, checked_keys, checked_text

#: Modes of Pillow and bytes of a pixel.
_MODES: Final = {"L": 1, "RGB": 3, "RGBA": 4}
_MAX_PIXELS: Final = 1 << 28
_OUTPUT_MODULES: Final = ("transformers.modeling_outputs", "transformers.generation.utils")


def encode_library(value: Any, encoder: Encoder) -> dict[str, object] | None:
    """The tagged form of an object of torch, numpy, Pillow or transformers that both sides may send."""
    torch, numpy, image = (sys.modules.get(name) for name in ("torch", "numpy", "PIL.Image"))
    if torch is not None:
        if isinstance(value, torch.Tensor):
            return {"t": "tensor", "v": _tensor(value, encoder)}
        if isinstance(value, torch.dtype):
            return {"t": "dtype", "v": str(value).removeprefix("torch.")}
        if isinstance(value, torch.device):
            return {"t": "device", "v": str(value)}
    if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic):
        return {"t": "array", "v": _array(value, encoder)}
    if image is not None and isinstance(value, image.Image):
        return {"t": "image", "v": _image(value, encoder)}
    if isinstance(value, PurePath):
        return {"t": "path", "v": str(value)}
    return _mapping(value, encoder)


def _mapping(value: Any, encoder: Encoder) -> dict[str, object] | None:
    from transformers import BatchEncoding, BatchFeature
    from transformers.utils import ModelOutput

    if isinstance(value, ModelOutput):
        name = type(value).__name__ if type(value).__module__ in _OUTPUT_MODULES else ""
        return {"t": "output", "v": {"class": name, "items": encoder.pairs(value)}}
    if isinstance(value, BatchEncoding | BatchFeature):
        tag = "encoding" if isinstance(value, BatchEncoding) else "feature"
        return {"t": tag, "v": encoder.pairs(dict(value))}
    if isinstance(value, Mapping):
        return {"t": "dict", "v": encoder.pairs(value)}
    if isinstance(value, tuple | list):  # named tuples, torch.Size
        return {"t": "tuple", "v": [encoder.encode(item) for item in value]}
    return None


def _tensor(tensor: Any, encoder: Encoder) -> dict[str, object]:
    import torch

    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype not in DTYPES or tensor.layout != torch.strided or tensor.device.type not in ("cpu", "cuda"):
        raise TypeError(f"a tensor of {tensor.dtype}, {tensor.layout}, on {tensor.device.type}")
    flat = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
    data = memoryview(flat.view(torch.uint8).numpy())
    return {"blob": encoder.buffer(dtype, tuple(tensor.shape), data), "device": str(tensor.device)}


def _array(array: Any, encoder: Encoder) -> dict[str, object]:
    import numpy

    if array.dtype.name not in DTYPES:
        raise TypeError(f"an array of {array.dtype}")
    flat = numpy.ascontiguousarray(array).reshape(-1)
    data = memoryview(flat.view(numpy.uint8).data)
    return {"blob": encoder.buffer(array.dtype.name, array.shape, data), "scalar": isinstance(array, numpy.generic)}


def _image(image: Any, encoder: Encoder) -> dict[str, object]:
    if image.mode not in _MODES:
        raise TypeError(f"a picture of mode {image.mode} (convert it to RGB)")
    data = image.tobytes()
    number = encoder.buffer("uint8", (len(data),), memoryview(data))
    return {"mode": image.mode, "size": list(image.size), "blob": number}


def decode_library(tag: str, value: Any, decoder: Decoder) -> object:
    """The object that `encode_library` sent.

    Raises:
        WorkerProtocolError: it could not have sent this.
    """
    if tag == "tensor":
        return _decoded_tensor(value, decoder)
    if tag == "array":
        return _decoded_array(value, decoder)
    if tag == "image":
        return _decoded_image(value, decoder)
    if tag == "dtype":
        return _dtype(value)
    if tag == "device":
        return _device(value)
    if tag == "path":
        return checked_text(value)
    if tag in ("encoding", "feature"):
        return _decoded_batch(tag, decoder.pairs(value))
    if tag == "output":
        return _decoded_output(value, decoder)
    raise WorkerProtocolError(f"an unknown tag {tag!r:.40}")


@cache
def _torch_dtypes() -> dict[str, Any]:
    import torch

    return {name: getattr(torch, name) for name in DTYPES if hasattr(torch, name)}


def _dtype(name: object) -> Any:
    dtypes = _torch_dtypes()
    if type(name) is not str or name not in dtypes:
        raise WorkerProtocolError("not a dtype")
    return dtypes[name]


def _device(name: object) -> Any:
    import torch

    text = checked_text(name, 16)
    kind, _, index = text.partition(":")
    if kind not in ("cpu", "cuda") or (index and not (index.isascii() and index.isdigit() and len(index) < 4)):
        raise WorkerProtocolError("not a device")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise WorkerProtocolError("a device that is not here")
    return torch.device(text)


def _decoded_tensor(value: object, decoder: Decoder) -> Any:
    import torch

    number, device = checked_keys(value, "blob", "device")
    blob, place = decoder.blob(number), _device(device)
    dtype = _dtype(blob.dtype)
    flat = torch.empty(math.prod(blob.shape), dtype=torch.uint8 if dtype is torch.bool else dtype)
    decoder.fill(blob, memoryview(flat.view(torch.uint8).numpy()))
    if dtype is torch.bool:
        flat = flat != 0  # a byte that is neither 0 nor 1 is no boolean, and kernels rely on it
    return flat.reshape(blob.shape).to(place)


def _decoded_array(value: object, decoder: Decoder) -> Any:
    import numpy

    number, scalar = checked_keys(value, "blob", "scalar")
    blob = decoder.blob(number)
    if blob.dtype.startswith(("bfloat", "float8")) or type(scalar) is not bool or (scalar and blob.shape):
        raise WorkerProtocolError("not an array")
    truth = blob.dtype == "bool"
    flat = numpy.empty(math.prod(blob.shape), dtype="uint8" if truth else blob.dtype)
    decoder.fill(blob, flat.view(numpy.uint8).data)
    array = (flat != 0 if truth else flat).reshape(blob.shape)
    return array[()] if scalar else array


def _decoded_image(value: object, decoder: Decoder) -> Any:
    from PIL import Image

    mode, size, number = checked_keys(value, "mode", "size", "blob")
    good = type(mode) is str and mode in _MODES and type(size) is list and len(size) == 2
    if not good or any(type(side) is not int or side < 0 for side in size) or size[0] * size[1] > _MAX_PIXELS:
        raise WorkerProtocolError("not a picture")
    data = decoder.bytes_of(number)
    if len(data) != size[0] * size[1] * _MODES[mode]:
        raise WorkerProtocolError("a picture of another size")
    return Image.frombytes(mode, tuple(size), bytes(data))


def _decoded_batch(tag: str, items: dict[Any, Any]) -> Any:
    from transformers import BatchEncoding, BatchFeature

    # A batch answers for its keys as for attributes: `__array_interface__` would name memory of ours to numpy.
    if any(type(name) is not str or name.startswith("_") for name in items):
        raise WorkerProtocolError("not a batch")
    return BatchEncoding(items) if tag == "encoding" else BatchFeature(items)


def _decoded_output(value: object, decoder: Decoder) -> Any:
    from transformers.utils import ModelOutput

    name, pairs = checked_keys(value, "class", "items")
    items = decoder.pairs(pairs)
    if any(type(key) is not str or not key.isidentifier() or key.startswith("_") for key in items):
        raise WorkerProtocolError("not an output")
    kind = output_classes().get(checked_text(name, 80))
    if kind is not None and items.keys() <= kind.__dataclass_fields__.keys():
        first, *others = kind.__dataclass_fields__
        if isinstance(items.get(first), dict | list) and all(items.get(other) is None for other in others):
            raise WorkerProtocolError("an output whose first field would become its attributes")
        return kind(**items)
    if any(hasattr(ModelOutput, key) for key in items):
        raise WorkerProtocolError("an output that hides a method")
    return ModelOutput(items)


@cache
def output_classes() -> dict[str, Any]:
    """The classes of outputs that transformers itself defines, by name."""
    import importlib

    from transformers.utils import ModelOutput

    found: dict[str, Any] = {}
    for name in _OUTPUT_MODULES:
        for kind in vars(importlib.import_module(name)).values():
            own = isinstance(kind, type) and issubclass(kind, ModelOutput) and kind.__module__ == name
            if own and hasattr(kind, "__dataclass_fields__"):
                found[kind.__name__] = kind
    return found
