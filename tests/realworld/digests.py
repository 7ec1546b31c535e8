"""Exact digests of tensors and of structures that hold them: equal digests mean equal bits, shapes and dtypes.

It does not compare object identity or types: a class loaded through the guard has another module name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import torch


def of_tensor(tensor: torch.Tensor) -> str:
    """SHA-256 over dtype, shape and bytes."""
    whole = tensor.detach().cpu().contiguous().reshape(-1)
    data = whole.view(torch.uint8) if whole.numel() else whole
    header = f"{tensor.dtype} {tuple(tensor.shape)} "
    return hashlib.sha256(header.encode() + bytes(data.numpy().tobytes() if whole.numel() else b"")).hexdigest()


def of_named(named: Iterable[tuple[str, torch.Tensor]]) -> str:
    """SHA-256 over names and tensors, in name order."""
    lines = sorted(f"{name} {of_tensor(tensor)}" for name, tensor in named)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def of_output(value: Any) -> Any:
    """The same structure with every tensor replaced by its digest; a KV cache is read through its layers."""
    if isinstance(value, torch.Tensor):
        return of_tensor(value)
    if isinstance(value, Mapping):
        return {str(key): of_output(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [of_output(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    return [type(value).__name__, *_cached(value)]


def _cached(cache: object) -> list[Any]:
    if hasattr(cache, "layers"):
        return [of_output([getattr(layer, "keys", None), getattr(layer, "values", None)]) for layer in cache.layers]
    return [of_output(getattr(cache, name, None)) for name in ("key_cache", "value_cache")]
