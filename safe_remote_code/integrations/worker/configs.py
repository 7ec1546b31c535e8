"""Configurations across the boundary: plain ones here, the repository's own class there.

What the parent holds is a subclass of transformers' `PretrainedConfig` that was made here, has the name and
the values of the repository's configuration, and none of its code: a property or method that only the
repository's class has is not there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from ...errors import WorkerProtocolError
from ...worker.values import Decoder, Encoder, checked_keys, checked_text

#: Set by the parent from what it asked for and from config.json; the child has no say.
_OURS: Final = frozenset({"auto_map", "name_or_path", "_name_or_path", "_commit_hash", "trust_remote_code"})


def encode_config(config: Any, encoder: Encoder) -> dict[str, object]:
    """A configuration as its values; nested ones stay configurations."""
    values: dict[str, object] = {}
    for name, value in config.to_dict().items():
        nested = getattr(config, name, None)
        values[name] = nested if _is_config(nested) else value
    implementation = getattr(config, "_attn_implementation_internal", None)
    body = {
        "class": type(config).__name__,
        "model_type": getattr(type(config), "model_type", ""),
        "attribute_map": encoder.pairs(getattr(type(config), "attribute_map", {})),
        "attention": implementation if isinstance(implementation, str) else None,
        "items": encoder.pairs(values),
    }
    return {"t": "config", "v": body}


def _is_config(value: object) -> bool:
    from transformers import PretrainedConfig

    return isinstance(value, PretrainedConfig)


def decode_values(value: object, decoder: Decoder) -> tuple[str, str, dict[Any, Any], str | None, dict[Any, Any]]:
    """Class name, model type, attribute map, attention implementation and values of an encoded configuration."""
    name, kind, aliases, attention, items = checked_keys(
        value, "class", "model_type", "attribute_map", "attention", "items"
    )
    if attention is not None:
        checked_text(attention, 200)
    return checked_text(name, 200), checked_text(kind, 200), decoder.pairs(aliases), attention, decoder.pairs(items)


def plain_config(value: object, decoder: Decoder, digest: str) -> Any:
    """A configuration of a class made here for the package `digest`, with the values that came across.

    Raises:
        WorkerProtocolError: a name would hide something that transformers relies on.
    """
    name, kind, aliases, attention, items = decode_values(value, decoder)
    if not name.isidentifier() or not all(_is_alias(text) for pair in aliases.items() for text in pair):
        raise WorkerProtocolError("not a configuration class")
    config = config_class(name, kind, tuple(aliases.items()), digest)()
    for key, item in items.items():
        _check_name(key)
        if key not in _OURS and not _names_kernel(key, item):
            setattr(config, key, item)
    if attention is not None and not _names_kernel("_attn_implementation", attention):
        config._attn_implementation_internal = attention
    return config


@lru_cache(maxsize=256)
def config_class(name: str, model_type: str, aliases: tuple[tuple[str, str], ...], digest: str) -> Any:
    """A class for each class of each package, because transformers maps model classes by it."""
    from transformers import PretrainedConfig

    body: dict[str, object] = {
        "model_type": model_type, "attribute_map": dict(aliases), "__module__": __name__, "__qualname__": name,
        "__reduce_ex__": _reduce, "_worker_class": (name, model_type, aliases, digest),
    }  # fmt: skip
    return type(name, (PretrainedConfig,), body)


def _reduce(config: Any, protocol: int) -> tuple[Any, ...]:
    """Copies and pickles are made of what the class was made of: it is in no module."""
    return rebuilt, type(config)._worker_class, dict(vars(config))


def rebuilt(name: str, model_type: str, aliases: tuple[tuple[str, str], ...], digest: str) -> Any:
    """The other half of `_reduce`."""
    return config_class(name, model_type, aliases, digest)()


def _is_alias(name: object) -> bool:
    return type(name) is str and name.isidentifier() and not name.startswith("_") and name not in _OURS


def _names_kernel(key: str, value: object) -> bool:
    """Whether transformers would take `key` for an implementation from the Hub: native code of somebody's."""
    return "implementation" in key and "/" in str(value)


def _check_name(key: object) -> None:
    from transformers import PretrainedConfig

    hides = type(key) is str and callable(getattr(PretrainedConfig, key, None))
    if type(key) is not str or not key.isidentifier() or key.startswith("__") or hides:
        raise WorkerProtocolError(f"a configuration key that cannot be: {key!r:.80}")


def state(config: Any) -> dict[str, object]:
    """The values by which a change is noticed."""
    return {name: state(value) if _is_config(value) else value for name, value in vars(config).items()}


def changes(before: dict[str, object], after: dict[str, object]) -> dict[str, object]:
    """What is new or different in `after`, nested configurations as nested changes."""
    changed: dict[str, object] = {}
    for name, value in after.items():
        old = before.get(name, _ABSENT)
        if isinstance(value, dict) and isinstance(old, dict):
            if inner := changes(old, value):
                changed[name] = inner
        elif type(old) is not type(value) or old != value:
            changed[name] = value
    return changed


_ABSENT: Final = object()


def apply_changes(config: Any, changed: dict[str, Any]) -> None:
    """Set, in the child, what the user changed in the parent."""
    for name, value in changed.items():
        nested = getattr(config, name, None)
        if _is_config(nested) and isinstance(value, dict):
            apply_changes(nested, value)
        else:
            setattr(config, name, value)
