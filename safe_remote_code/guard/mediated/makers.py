"""Makers of library objects whose dangerous arguments are processes, files and addresses: what is left makes the same.

And a base class, without the methods that reach further.

Nothing is imported here, as in `libraries.py`.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ..ownership import Sealed, owns_callable
from .calls import PLAIN_KINDS, method_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..context import PackageContext

_LOADERS: Final = ("torch.utils.data.DataLoader", "torch.utils.data.dataloader.DataLoader")
_CREATORS: Final = ("timm.create_model", "timm.models.create_model", "timm.models.factory.create_model",
                    "timm.models._factory.create_model")  # fmt: skip
_REGISTRARS: Final = ("timm.models.registry.register_model", "timm.models._registry.register_model",
                      "timm.models.register_model")  # fmt: skip
_HUB_MIXIN: Final = "huggingface_hub.PyTorchModelHubMixin"
#: What names a file, an address or a function that loads, and what is laid over it.
_OF_WEIGHTS: Final = ("pretrained", "checkpoint", "cache", "feature_c")


def _data_loader(context: PackageContext) -> type:
    """A DataLoader without workers: the same samples in the same order, for they are drawn in this process anyway."""
    real: Any = importlib.import_module("torch.utils.data").DataLoader
    pipes: Any = importlib.import_module("torch.utils.data.datapipes.datapipe")

    class DataLoader(real, Sealed):  # type: ignore[misc]  # torch's, by its name
        def __init__(
            self, dataset: object, batch_size: object = 1, shuffle: object = None, sampler: object = None,
            batch_sampler: object = None, num_workers: object = 0, collate_fn: object = None,
            pin_memory: object = False, drop_last: object = False, timeout: object = 0, worker_init_fn: object = None,
            multiprocessing_context: object = None, generator: object = None, *, prefetch_factor: object = None,
            persistent_workers: object = False, pin_memory_device: object = "", in_order: object = True,
        ) -> None:  # fmt: skip
            if isinstance(dataset, pipes.IterDataPipe | pipes.MapDataPipe):
                raise context.violation("DataLoader of a data pipe, which is pickled", "deserialise", _LOADERS[0])
            super().__init__(
                dataset, batch_size=batch_size, shuffle=shuffle, sampler=sampler, batch_sampler=batch_sampler,
                collate_fn=method_of(collate_fn, context), drop_last=drop_last, generator=generator,
            )  # fmt: skip

        def __init_subclass__(cls) -> NoReturn:
            raise context.violation("a subclass of DataLoader, which would have workers", "process", _LOADERS[0])

        # Whatever is written to them: `super().__init__` may be called once more.
        num_workers = property(lambda self: 0, lambda self, value: None)
        persistent_workers = property(lambda self: False, lambda self, value: None)
        pin_memory = property(lambda self: False, lambda self, value: None)
        multiprocessing_context = property(lambda self: None, lambda self, value: None)

    DataLoader.__module__, DataLoader.__qualname__ = real.__module__, real.__qualname__
    return DataLoader


def _is_plain(value: object) -> bool:
    return type(value) in PLAIN_KINDS or (type(value) in (tuple, list) and all(map(_is_plain, value)))  # type: ignore[call-overload]  # a sequence


def _create_model(context: PackageContext) -> Callable[..., object]:
    """`timm.create_model` by the name of an architecture, without weights: no address, file or saved settings."""

    def create_model(model_name: object, pretrained: object = False, **keywords: object) -> object:
        timm: Any = importlib.import_module("timm")
        plain = type(model_name) is str and set(":/\\").isdisjoint(model_name)
        if not plain or not timm.is_model(str(model_name).partition(".")[0]):
            raise context.violation(f"timm.create_model of {model_name!r:.80}, which names no architecture of timm",
                                    "network", _CREATORS[0])  # fmt: skip
        if pretrained is not False:
            raise context.violation("timm.create_model with pretrained weights; load them from the repository's own",
                                    "network", _CREATORS[0])  # fmt: skip
        given = {name: value for name, value in keywords.items() if value is not None}
        for name, value in given.items():
            if name.startswith(_OF_WEIGHTS) or not _is_plain(value):
                raise context.violation(f"timm.create_model with {name}, which is no plain setting of the architecture",
                                        "network", _CREATORS[0])  # fmt: skip
        return timm.create_model(model_name, pretrained=False, **keywords)

    return create_model


def _register_model(context: PackageContext, name: str) -> Callable[..., object]:
    """timm's decorator: an architecture of this package's own, under a name that is not taken by another's."""

    place = importlib.import_module(name.rpartition(".")[0])
    registry: Any = sys.modules[place.register_model.__module__]

    def register_model(function: Any) -> object:
        # A name of another kind may be equal to nothing, for now.
        if not owns_callable(function) or type(function.__name__) is not str:
            raise context.violation("registering a function that this code does not own", "monkey-patch", name)
        known = registry._model_entrypoints.get(function.__name__)
        if known is not None and not owns_callable(known):
            raise context.violation(f"registering {function.__name__!r:.80}, which is timm's", "monkey-patch", name)
        return registry.register_model(function)

    return register_model


def _hub_mixin(context: PackageContext) -> type:
    """`PyTorchModelHubMixin` as a base class, of which nothing is loaded, saved or sent."""

    def refused(*_: object, **__: object) -> NoReturn:
        raise context.violation("a method of PyTorchModelHubMixin", "dynamic-code", _HUB_MIXIN)

    class PyTorchModelHubMixin:
        def __init_subclass__(cls, **_: object) -> None:  # address, tags and licence for a card
            super().__init_subclass__()

        from_pretrained: Any = classmethod(refused)
        save_pretrained = push_to_hub = generate_model_card = refused

    PyTorchModelHubMixin.__module__ = "huggingface_hub.hub_mixin"
    PyTorchModelHubMixin.__qualname__ = "PyTorchModelHubMixin"
    return PyTorchModelHubMixin


def replacements(context: PackageContext) -> dict[str, Callable[[], object]]:
    """Makers of replacements by dotted name; each is called when its name is first asked for."""
    makers: dict[str, Callable[[], object]] = {_HUB_MIXIN: lambda: _hub_mixin(context)}
    for name in _LOADERS:
        makers[name] = lambda: _data_loader(context)
    for name in _CREATORS:
        makers[name] = lambda: _create_model(context)
    for name in _REGISTRARS:
        makers[name] = lambda name=name: _register_model(context, name)  # type: ignore[misc]  # bound now
    return makers
