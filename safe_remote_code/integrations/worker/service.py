"""What the worker does: loads classes through the walls, keeps the objects, calls what it is told to.

This runs in the child, beside the remote code, and so holds nobody back; the kernel does. The objects that
cannot cross (a model, a tokenizer, a key-value cache) stay here under a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from ..dynamic_module import get_class_from_dynamic_module
from ..transformers_patch import install
from .configs import apply_changes, decode_values, encode_config
from .values import decode_library, encode_library

if TYPE_CHECKING:
    from ...worker.serving import Server
    from ...worker.start import Start
    from ...worker.values import Decoder, Encoder


@final
class ModelService:
    """`Service` over transformers."""

    def __init__(self, server: Server, start: Start) -> None:
        import torch

        torch.set_num_threads(start.threads)
        self._server = server
        self._start = start
        self._objects: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}
        self._last = 0
        install(start.policy, start.lockfile)

    # --- values ---------------------------------------------------------------------

    def special(self, tag: str, value: Any, decoder: Decoder) -> object:
        """See `Service`."""
        if tag == "object":
            return self._objects[value]
        if tag == "config":
            return _Values(*decode_values(value, decoder)[3:])
        if tag == "generation-config":
            from transformers import GenerationConfig

            return GenerationConfig.from_dict(decoder.pairs(value))
        return decode_library(tag, value, decoder)

    def encode_special(self, value: Any, encoder: Encoder) -> dict[str, object] | None:
        """See `Service`."""
        from transformers import GenerationConfig, PretrainedConfig

        if isinstance(value, PretrainedConfig):
            return encode_config(value, encoder)
        if isinstance(value, GenerationConfig):
            return {"t": "generation-config", "v": encoder.pairs(value.to_dict())}
        kind = kind_of(type(value))
        if kind != "other":
            return {"t": "object", "v": {"id": self._keep(value), "kind": kind, "class": type(value).__name__}}
        return encode_library(value, encoder)

    def _keep(self, value: Any) -> int:
        if id(value) not in self._numbers:
            self._last += 1
            self._objects[self._last], self._numbers[id(value)] = value, self._last
        return self._numbers[id(value)]

    # --- operations -------------------------------------------------------------------

    def answer(self, operation: str, body: Any) -> object:
        """See `Service`."""
        import torch

        for number in body.pop("released"):
            self._numbers.pop(id(self._objects.pop(number)))
        state = body.pop("random", None)
        if state is None:
            return getattr(self, f"_do_{operation}")(**body)
        torch.set_rng_state(state)
        value = getattr(self, f"_do_{operation}")(**body)
        return {"value": value, "drew": not torch.equal(torch.get_rng_state(), state)}

    def _class(self, reference: str, code: str, options: dict[str, Any]) -> Any:
        return get_class_from_dynamic_module(
            reference, code, policy=self._start.policy, lockfile=self._start.lockfile,
            **{**options, "local_files_only": True},
        )  # fmt: skip

    def _do_describe(self, reference: str, code: str, options: dict[str, Any]) -> object:
        found = self._class(reference, code, options)
        return {"kind": kind_of(found), "class": found.__name__}

    def _do_config(self, reference: str, code: str, options: dict[str, Any], location: str, settings: Any) -> object:
        found = self._class(reference, code, options)
        found.register_for_auto_class()
        config, unused = found.from_pretrained(location, return_unused_kwargs=True, **settings)
        return {"config": config, "unused": list(unused)}

    def _do_load(
        self, reference: str, code: str, options: dict[str, Any], method: str, arguments: list[Any],
        settings: dict[str, Any], config: _Values | None, config_reference: str | None, auto_class: str | None,
    ) -> object:  # fmt: skip
        found = self._class(reference, code, options)
        if config is not None:
            built = self._config(config, config_reference, code, options)
            arguments, settings = _with_config(method, arguments, settings, built)
        if auto_class is not None:
            found.register_for_auto_class(*([auto_class] if auto_class else []))
        if kind_of(found) == "model":
            found = _with_generation(found)
        return getattr(found, method)(*arguments, **settings)

    def _config(self, values: _Values, reference: str | None, code: str, options: dict[str, Any]) -> Any:
        if reference is None:
            from transformers import AutoConfig

            kind = values.items["model_type"]
            return AutoConfig.for_model(**{**values.items, "model_type": kind})
        extra = {} if values.attention is None else {"attn_implementation": values.attention}
        return self._class(reference, code, options).from_dict(values.plain(), **extra)

    def _do_call(self, target: Any, method: str, arguments: list[Any], settings: dict[str, Any], streams: bool) -> Any:
        import torch

        if streams:
            settings = {**settings, "streamer": _Streamer(self._server)}
        with torch.no_grad():
            return getattr(target, method)(*arguments, **settings)

    def _do_get(self, target: Any, name: str) -> object:
        value = getattr(target, name)
        method = _is_method(value)
        return {"callable": method, "value": None if method else value}

    def _do_set(self, target: Any, name: str, value: Any) -> None:
        setattr(target, name, value)

    def _do_configure(self, target: Any, changes: dict[str, Any]) -> None:
        apply_changes(target.config, changes)

    def _do_tensors(self, target: Any) -> object:
        return list(target.state_dict())

    def _do_tensor(self, target: Any, name: str) -> object:
        return target.state_dict()[name]

    def _do_save(self, target: Any, folder: str, settings: dict[str, Any]) -> None:
        target.save_pretrained(folder, **settings)

    def _do_detonate(self, location: str, revision: str | None) -> object:
        from .driving import drive

        return drive(location, revision, self._server.record)


@final
class _Values:
    """A configuration of the parent on its way to becoming one of the repository's class."""

    def __init__(self, attention: str | None, items: dict[str, Any]) -> None:
        self.attention = attention
        self.items = items

    def plain(self) -> dict[str, Any]:
        """As `config.json` would hold it."""
        return {key: item.plain() if isinstance(item, _Values) else item for key, item in self.items.items()}


def _with_config(method: str, arguments: list[Any], settings: dict[str, Any], config: Any) -> tuple[list[Any], Any]:
    if method == "_from_config":
        return [config, *arguments], settings
    config._name_or_path = str(arguments[0])
    return arguments, {**settings, "config": config}


def _with_generation(found: Any) -> Any:
    try:
        from transformers.models.auto.auto_factory import add_generation_mixin_to_remote_model
    except ImportError:
        return found
    return add_generation_mixin_to_remote_model(found)


def _is_method(value: Any) -> bool:
    return callable(value) and kind_of(type(value)) == "other" and not isinstance(value, type)


def kind_of(kind: type) -> str:
    """What a class is to the parent: config, model, tokenizer, processor, cache or other."""
    import torch
    from transformers import PretrainedConfig, PreTrainedTokenizerBase, ProcessorMixin
    from transformers.cache_utils import Cache
    from transformers.feature_extraction_utils import FeatureExtractionMixin
    from transformers.image_processing_base import ImageProcessingMixin

    kinds: tuple[tuple[str, type | tuple[type, ...]], ...] = (
        ("config", PretrainedConfig),
        ("model", torch.nn.Module),
        ("tokenizer", PreTrainedTokenizerBase),
        ("processor", (ProcessorMixin, ImageProcessingMixin, FeatureExtractionMixin)),
        ("cache", Cache),
    )
    return next((name for name, bases in kinds if issubclass(kind, bases)), "other")


@final
class _Streamer:
    """The streamer that `generate` is given here: the parent's own gets every token and may stop it."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def put(self, value: Any) -> None:
        """Hand tokens over."""
        if not self._server.stream({"end": False, "tokens": value}):
            raise RuntimeError("stopped by the streamer")

    def end(self) -> None:
        """Say that there are no more."""
        self._server.stream({"end": True, "tokens": None})
