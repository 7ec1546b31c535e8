"""Detonation, in the child: make the code of a repository do what users make it do, and tell what it tries.

Everything is told the moment it happens, over the socket: what was said cannot be taken back by code that
finds out that it is watched. Weights are random, of the size in the configuration or, if that is large, of
fewer layers; so what the code would do with its true weights is not seen, nor what it does on another day.
"""

from __future__ import annotations

import copy
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, Final

from ... import monitor
from ...guard.context import writing_below
from ...guard.ownership import context_of_globals
from .guessing import generate_inputs, guesses, text_ids

#: More parameters are not built: fewer layers are tried, then the model is left out.
_MAX_PARAMETERS: Final = 200_000_000
_LAYER_KEYS: Final = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "depth", "encoder_layers",
                      "decoder_layers")  # fmt: skip
_SCALED_LAYERS: Final = 2
_TEXT: Final = "The cat sat on the mat."
_PREPROCESSORS: Final = ("AutoTokenizer", "AutoProcessor", "AutoImageProcessor", "AutoFeatureExtractor")

Record = Callable[[object], None]


class Trial:
    """One run through the stages; each failure is told and the next stage tried."""

    def __init__(self, location: str, revision: str | None, record: Record) -> None:
        self._location = location
        self._settings = {"trust_remote_code": True, **({"revision": revision} if revision else {})}
        self._record = record
        self._busy = False
        self.stage = "import"

    def noted(self, event: str, arguments: tuple[object, ...], capability: str) -> None:
        """Tell one event; called by the audit hook."""
        if self._busy:
            return
        self._busy = True
        try:
            path, line = _place(sys._getframe(1))
            shown = ", ".join(repr(item)[:120] for item in arguments[:2])
            self._record({"event": event, "arguments": shown[:300], "capability": capability, "path": path,
                          "line": line, "stage": self.stage})  # fmt: skip
        finally:
            self._busy = False

    def run(self) -> list[dict[str, str]]:
        """All stages; what became of each."""
        return [{"stage": stage, "error": error} for stage, error in self._stages()]

    def _stages(self) -> Iterator[tuple[str, str]]:
        import transformers

        config, error = self._tried("import", lambda: self._auto("AutoConfig"))
        yield "import AutoConfig", error
        auto_map = getattr(config, "auto_map", None) or {}
        models = [name for name in sorted(auto_map) if name.startswith("AutoModel") and hasattr(transformers, name)]
        for name in models:
            yield from self._model(name, config)
        for name in _PREPROCESSORS:
            if name in auto_map or _offers(self._location, name, self._settings):
                yield from self._preprocessor(name)
        for name in sorted(set(auto_map) - {"AutoConfig", *models, *_PREPROCESSORS}):
            yield f"load {name}", "no stage drives this class"

    def _model(self, name: str, config: Any) -> Iterator[tuple[str, str]]:
        import torch

        model, error = self._tried("init", lambda: self._built(name, config))
        yield f"init {name}", error
        if model is None:
            return
        with torch.no_grad():
            taken, error = self._tried("forward", lambda: _forward(model, config))
            yield f"forward {name}", error
            if callable(getattr(model, "generate", None)):
                error = self._tried("generate", lambda: _generate(model, taken or guesses(model, config)[0]))[1]
                # transformers 4.49 gives a model without a head `generate` as well, and then refuses to run it.
                if not error or self._tried("generate", lambda: model.can_generate())[0] is not False:
                    yield f"generate {name}", error
        yield f"save {name}", self._tried("save", lambda: _save(model))[1]

    def _preprocessor(self, name: str) -> Iterator[tuple[str, str]]:
        found, error = self._tried("tokenize", lambda: self._auto(name))
        yield f"load {name}", error
        if found is not None:
            if name in ("AutoTokenizer", "AutoProcessor"):
                yield f"call {name}", self._tried("tokenize", lambda: found(text=_TEXT))[1]
            yield f"save {name}", self._tried("save", lambda: _save(found))[1]

    def _auto(self, name: str) -> Any:
        import transformers

        return getattr(transformers, name).from_pretrained(self._location, **self._settings)

    def _built(self, name: str, config: Any) -> Any:
        import torch
        import transformers

        auto = getattr(transformers, name)
        for candidate in (config, _scaled(config)):
            with torch.device("meta"):
                count = sum(item.numel() for item in auto.from_config(candidate, **self._settings).parameters())
            if count <= _MAX_PARAMETERS:
                return auto.from_config(candidate, **self._settings).eval()
        raise ValueError(f"a model of {count} parameters with {_SCALED_LAYERS} layers is too large to be tried")

    def _tried(self, stage: str, action: Callable[[], Any]) -> tuple[Any, str]:
        self.stage = stage
        try:
            return action(), ""
        except BaseException as error:  # also SystemExit: what remote code raises ends its stage only
            return None, f"{type(error).__name__}: {error}"[:500]


def drive(location: str, revision: str | None, record: Record) -> list[dict[str, str]]:
    """Drive the repository through every stage; each event is told to `record` at once."""
    trial = Trial(location, revision, record)
    monitor.record(trial.noted)
    return trial.run()


def _place(frame: Any) -> tuple[str, int]:
    """Path inside the repository and line of the remote code nearest to the event."""
    while frame is not None:
        context = context_of_globals(id(frame.f_globals))
        if context is not None:
            name = frame.f_code.co_filename
            roots = [root for root in context.read_roots if name.startswith(f"{root}{os.sep}")]
            return (os.path.relpath(name, max(roots, key=len)) if roots else os.path.basename(name)), frame.f_lineno
        frame = frame.f_back
    return ".", 1


def _offers(location: str, name: str, settings: dict[str, Any]) -> bool:
    """Whether a document beside the configuration names a class of the repository for `name`."""
    from transformers.utils import cached_file

    for document in ("tokenizer_config.json", "processor_config.json", "preprocessor_config.json"):
        try:
            path = cached_file(location, document, revision=settings.get("revision"))
        except OSError:
            continue
        if path is not None:
            with open(path, encoding="utf-8") as stream:
                if f'"{name}"' in stream.read():
                    return True
    return False


def _scaled(config: Any) -> Any:
    """The configuration with two layers wherever it, or a part of it, counts layers."""
    scaled = copy.deepcopy(config)
    for part in (scaled, *(value for value in vars(scaled).values() if hasattr(value, "to_dict"))):
        for key in _LAYER_KEYS:
            if isinstance(getattr(part, key, None), int):
                setattr(part, key, min(getattr(part, key), _SCALED_LAYERS))
        if isinstance(getattr(part, "layer_types", None), list):
            part.layer_types = part.layer_types[:_SCALED_LAYERS]
    return scaled


def _forward(model: Any, config: Any) -> dict[str, Any]:
    """Run the model on what may be its inputs; those that it took.

    Raises:
        Exception: what it said to the likeliest inputs, if it took none.
    """
    first: Exception | None = None
    for inputs in guesses(model, config):
        try:
            model(**inputs)
            return inputs
        except Exception as error:
            first = first or error
    raise first or ValueError("no inputs were guessed")


def _generate(model: Any, inputs: dict[str, Any]) -> None:
    taken = generate_inputs(model, inputs)
    model.generate(*([] if taken else [text_ids()]), **taken, max_new_tokens=2)


def _save(target: Any) -> None:
    folder = tempfile.mkdtemp()
    with writing_below(folder):  # as the guard would let it, for a folder that a user named
        target.save_pretrained(folder)
