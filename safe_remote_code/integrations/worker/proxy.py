"""What the parent holds of an object in a worker: calls and attributes go there, values come back.

A name that begins with an underscore never crosses. What cannot work at all across the boundary says so and
names the in-process policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, final

from ...errors import WorkerProtocolError
from ...worker.values import checked_keys
from .pool import Worker
from .saving import save
from .unsupported import unsupported

if TYPE_CHECKING:
    from collections.abc import Callable


class RemoteObject:
    """An object in a worker."""

    def __init__(self, worker: Worker, number: int, class_name: str) -> None:
        object.__setattr__(self, "_worker", worker)
        object.__setattr__(self, "_worker_number", number)
        object.__setattr__(self, "_worker_class_name", class_name)

    def __repr__(self) -> str:
        return f"<{self._worker_class_name} in worker {self._worker.pid}>"

    def _call(self, method: str, *arguments: Any, **settings: Any) -> Any:
        body = {"target": self, "method": method, "arguments": list(arguments), "settings": settings, "streams": False}
        return self._worker.ask("call", body, random=True)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        answer = self._worker.ask("get", {"target": self, "name": name})
        is_method, value = checked_keys(answer, "callable", "value")
        if type(is_method) is not bool:
            raise WorkerProtocolError("not an attribute")
        return _method(self, name) if is_method else value

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise AttributeError(f"{name!r} cannot be set across the boundary of a worker")
        self._worker.ask("set", {"target": self, "name": name, "value": value})

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        unsupported("copying or pickling")


def _method(target: RemoteObject, name: str) -> Callable[..., Any]:
    def call(*arguments: Any, **settings: Any) -> Any:
        return target._call(name, *arguments, **settings)

    call.__name__ = name
    return call


@final
class RemoteCache(RemoteObject):
    """A key-value cache, to be given back to the model that made it."""


class RemotePreprocessor(RemoteObject):
    """A tokenizer, processor, image processor or feature extractor."""

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        return self._call("__call__", *arguments, **settings)

    def __len__(self) -> int:
        length = self._call("__len__")
        if type(length) is not int or length < 0:
            raise WorkerProtocolError("not a length")
        return length

    def save_pretrained(self, save_directory: Any, push_to_hub: bool = False, **settings: Any) -> tuple[str, ...]:
        """As transformers; the worker writes to a folder of its own, and this process copies what may be copied."""
        return save(self, save_directory, push_to_hub=push_to_hub, settings=settings)


Worker.proxies["cache"] = RemoteCache
Worker.proxies["tokenizer"] = RemotePreprocessor
Worker.proxies["processor"] = RemotePreprocessor
