"""The model in a worker, as far as inference goes: forward, generate, devices, saving, reading weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, final

from ...errors import WorkerProtocolError
from ...worker.values import checked_keys, checked_text
from .configs import changes, state
from .pool import Worker
from .proxy import RemoteObject
from .saving import save
from .unsupported import unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator

#: They hand out what belongs to the other process, or change it by functions of this one.
_UNSUPPORTED: Final = frozenset(
    {"parameters", "named_parameters", "buffers", "named_buffers", "modules", "named_modules", "children",
     "named_children", "zero_grad", "requires_grad_", "register_forward_hook", "register_forward_pre_hook",
     "register_full_backward_hook", "register_full_backward_pre_hook", "apply", "gradient_checkpointing_enable",
     "enable_input_require_grads", "share_memory", "push_to_hub", "add_adapter", "load_adapter", "load_state_dict"}
)  # fmt: skip


class PreTrainedModel(RemoteObject):
    """Not the class of transformers: until version 5, pipelines tell the framework of a model by this name."""


@final
class RemoteModel(PreTrainedModel):
    """A model in a worker."""

    def __init__(self, worker: Worker, number: int, class_name: str) -> None:
        super().__init__(worker, number, class_name)
        object.__setattr__(self, "_parts", {})

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        return self.forward(*arguments, **settings)

    def forward(self, *arguments: Any, **settings: Any) -> Any:
        """The model's forward. Gradients end here: a backward through the result says so."""
        import torch

        _no_gradients((arguments, settings))
        self._configure()
        output = self._call("__call__", *arguments, **settings)
        return _without_backward(output) if torch.is_grad_enabled() else output

    def _generate(self, *arguments: Any, streamer: Any = None, **settings: Any) -> Any:
        # All of it in the worker; `streamer` gets the tokens as they come.
        if settings.get("custom_generate") is not None:
            unsupported("custom_generate")  # its code is another repository's, which this worker cannot read
        self._configure()
        if "generation_config" in self._parts and "generation_config" not in settings:
            settings["generation_config"] = self._parts["generation_config"]
        body = {"target": self, "method": "generate", "arguments": list(arguments), "settings": settings,
                "streams": streamer is not None}  # fmt: skip
        feed = None if streamer is None else lambda event: _feed(streamer, event)
        return self._worker.ask("call", body, random=True, on_stream=feed)

    @property
    def config(self) -> Any:
        """The configuration; what is changed in it reaches the worker with the next forward or generate."""
        return self._part("config")

    @property
    def generation_config(self) -> Any:
        """The generation settings; what is changed in it counts from the next generate on."""
        return self._part("generation_config")

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        self._parts.pop(name, None)

    def train(self, mode: bool = True) -> RemoteModel:
        """Inference mode only."""
        return unsupported("training") if mode else self.eval()

    def eval(self) -> RemoteModel:
        """Inference mode."""
        self._call("eval")
        return self

    def state_dict(self) -> Mapping[str, Any]:
        """The weights, for reading: each tensor is copied from the worker when it is asked for."""
        return _Weights(self)

    def save_pretrained(
        self, save_directory: Any, is_main_process: bool = True, push_to_hub: bool = False, **settings: Any
    ) -> None:
        """As transformers, in safetensors; the worker writes to a folder of its own, this process copies from it."""
        if settings.get("state_dict") is not None or settings.get("safe_serialization") is False:
            unsupported("saving a state_dict of your own, or pickled weights,")
        self._configure()
        if is_main_process:
            save(self, save_directory, push_to_hub=push_to_hub, settings=settings)

    def __getattr__(self, name: str) -> Any:
        if name in _UNSUPPORTED:
            unsupported(f"{name}()")
        if name != "generate":
            return super().__getattr__(name)
        if name not in self._parts:
            self._parts[name] = super().__getattr__(name)  # not every model has one
        return self._generate

    def _part(self, name: str) -> Any:
        if name not in self._parts:
            part = self._worker.ask("get", {"target": self, "name": name})
            self._parts[name] = checked_keys(part, "callable", "value")[1]
            if name == "config":
                self._parts["state"] = state(self._parts[name])
        return self._parts[name]

    def _configure(self) -> None:
        """Take changes of the configuration to the worker."""
        if "config" not in self._parts:
            return
        now = state(self._parts["config"])
        if changed := changes(self._parts["state"], now):
            self._worker.ask("configure", {"target": self, "changes": changed})
            self._parts["state"] = now


@final
class _Weights(Mapping[str, Any]):
    """Names and tensors of a model in a worker."""

    def __init__(self, model: RemoteModel) -> None:
        self._model = model
        names = model._worker.ask("tensors", {"target": model})
        if type(names) is not list or len(set(map(checked_text, names))) != len(names):
            raise WorkerProtocolError("not names of weights")
        self._names: dict[str, None] = dict.fromkeys(names)

    def __getitem__(self, name: str) -> Any:
        import torch

        if name not in self._names:
            raise KeyError(name)
        tensor = self._model._worker.ask("tensor", {"target": self._model, "name": name})
        if not isinstance(tensor, torch.Tensor):
            raise WorkerProtocolError("not a tensor")
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _feed(streamer: Any, event: object) -> None:
    end, tokens = checked_keys(event, "end", "tokens")
    if end is True:
        streamer.end()
    else:
        streamer.put(tokens)


def _no_gradients(values: Any) -> None:
    import torch

    if isinstance(values, torch.Tensor) and values.requires_grad and torch.is_grad_enabled():
        unsupported("a gradient with respect to an input")
    elif isinstance(values, Mapping):
        _no_gradients(list(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            _no_gradients(value)


def _without_backward(output: Any) -> Any:
    """`output` with tensors that look as they would natively, and whose backward says why there is none."""
    import torch

    class NoBackward(torch.autograd.Function):  # type: ignore[misc]  # torch is not typed here
        @staticmethod
        def forward(_: Any, anchor: Any, tensor: Any) -> Any:
            return tensor.view_as(tensor)

        @staticmethod
        def backward(_: Any, *gradients: Any) -> Any:
            unsupported("backward")

    anchor = torch.zeros((), requires_grad=True)

    def wrapped(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            return NoBackward.apply(anchor, value)
        if type(value) in (list, tuple):
            return type(value)(map(wrapped, value))
        return value

    if isinstance(output, dict):
        for name in list(output):
            output[name] = wrapped(output[name])
        return output
    return wrapped(output)


Worker.proxies["model"] = RemoteModel
