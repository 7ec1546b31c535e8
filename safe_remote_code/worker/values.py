"""Values as JSON and back: what may cross the boundary, and nothing else.

`null`, booleans, strings, 64-bit integers, finite numbers and lists are themselves. Everything else is an
object `{"t": tag, "v": ...}` of the tags below, or of a further tag that the two sides agree on (tensors,
configurations, outputs: `integrations/worker/values.py`). Depth and number of nodes are bounded; an
unknown tag is an error. Nothing is ever looked up or called by a name that came across.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, final

from ..errors import UnsupportedInWorkerError, WorkerProtocolError
from .frames import MAX_BLOBS, MAX_INTEGER, Blob, placed

_MAX_DEPTH: Final = 40
#: Elements of all lists and dictionaries of one message: a vocabulary has 250,000 pairs, hence a million of them.
_MAX_NODES: Final = 8_000_000
_FLOATS: Final = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}

#: Bytes with the dtype and shape under which they are laid in the arena.
Buffer = tuple[str, tuple[int, ...], memoryview]


@final
class Encoder:
    """Turns values into JSON, and collects the bytes that go beside it."""

    def __init__(self, special: Callable[[Any, Encoder], dict[str, object] | None] | None = None) -> None:
        self.buffers: list[Buffer] = []
        self._special = special
        self._depth = 0

    def encode(self, value: Any) -> object:
        """`value` as JSON.

        Raises:
            TypeError: it is of a kind that does not cross. ValueError: too deep, or beyond 64 bits.
        """
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value
        if kind is int:
            return _bounded(value)
        if kind is float:
            return value if math.isfinite(value) else {"t": "float", "v": str(value)}
        self._depth += 1
        try:
            if self._depth > _MAX_DEPTH:
                raise ValueError("nested too deeply to be sent")
            return self._container(value)
        finally:
            self._depth -= 1

    def _container(self, value: Any) -> object:
        kind = type(value)
        if kind is list:
            return [self.encode(item) for item in value]
        if kind is tuple:
            return {"t": "tuple", "v": [self.encode(item) for item in value]}
        if kind is dict:
            return {"t": "dict", "v": self.pairs(value)}
        if kind is bytes:
            return {"t": "bytes", "v": self.buffer("uint8", (len(value),), memoryview(value))}
        found = self._special(value, self) if self._special is not None else None
        if found is not None:
            return found
        for base in (str, int, float):  # members of enumerations, numpy's doubles
            if isinstance(value, base):
                return self.encode(base(value.value if hasattr(value, "value") else value))
        raise TypeError(f"{kind.__module__}.{kind.__qualname__}")

    def pairs(self, value: Any) -> list[object]:
        """The items of a mapping."""
        return [[self.encode(key), self.encode(item)] for key, item in value.items()]

    def buffer(self, dtype: str, shape: tuple[int, ...], data: memoryview) -> int:
        """Take bytes along; their number among the blobs."""
        if len(self.buffers) >= MAX_BLOBS:
            raise ValueError(f"more than {MAX_BLOBS} tensors in one message")
        self.buffers.append((dtype, shape, data))
        return len(self.buffers) - 1

    def blobs(self) -> tuple[Blob, ...]:
        """Where in an arena the collected bytes go."""
        return placed([(dtype, shape) for dtype, shape, _ in self.buffers])


def encoded(encoder: Encoder, value: object, way: str) -> object:
    """`value` as a body, `way` ("to" or "from") a worker; if it cannot cross, the in-process policy is the way out.

    Raises:
        UnsupportedInWorkerError: it is of a kind that does not cross.
    """
    try:
        return encoder.encode(value)
    except (TypeError, ValueError) as error:
        raise UnsupportedInWorkerError(
            f"{error} cannot be sent {way} a worker", subject="worker",
            remedy='load the model with a policy that says execution = "in-process"',
        ) from None  # fmt: skip


def _bounded(value: int) -> int:
    if not -MAX_INTEGER <= value < MAX_INTEGER:
        raise ValueError("an integer beyond 64 bits")
    return value


#: Makes the value of a tag that is not ours, or raises `WorkerProtocolError`.
Special = Callable[[str, Any, "Decoder"], object]


@final
class Decoder:
    """Turns a body into values; reads each blob once, through `read(offset, target)`."""

    def __init__(
        self, blobs: tuple[Blob, ...], read: Callable[[int, memoryview], None], special: Special | None = None
    ) -> None:
        self._blobs = blobs
        self._read = read
        self._special = special
        self._used: set[int] = set()
        self._depth = 0
        self._nodes = 0

    def decode(self, body: object) -> Any:
        """The value that `body` says.

        Raises:
            WorkerProtocolError: it says none.
        """
        if body is None or type(body) in (bool, str, int, float):
            return body
        self._depth += 1
        try:
            if self._depth > _MAX_DEPTH:
                raise WorkerProtocolError("nested too deeply")
            if type(body) is list:
                return self._items(body)
            return self._tagged(*checked_keys(body, "t", "v"))
        finally:
            self._depth -= 1

    def _items(self, body: object) -> list[Any]:
        if type(body) is not list:
            raise WorkerProtocolError("not a list")
        self._nodes += len(body)
        if self._nodes > _MAX_NODES:
            raise WorkerProtocolError("too many values in one message")
        return [self.decode(item) for item in body]

    def _tagged(self, tag: object, value: object) -> object:
        if type(tag) is not str:
            raise WorkerProtocolError("not a tag")
        if tag == "float" and type(value) is str and value in _FLOATS:
            return _FLOATS[value]
        if tag == "tuple":
            return tuple(self._items(value))
        if tag == "dict":
            return self.pairs(value)
        if tag == "bytes":
            return bytes(self.bytes_of(value))
        if self._special is None:
            raise WorkerProtocolError(f"an unknown tag {tag!r:.40}")
        return self._special(tag, value, self)

    def pairs(self, value: object) -> dict[Any, Any]:
        """A dictionary whose keys are strings, integers, booleans or None, each once."""
        found: dict[Any, Any] = {}
        for pair in self._items(value):
            if type(pair) is not list or len(pair) != 2 or type(pair[0]) not in (str, int, bool, type(None)):
                raise WorkerProtocolError("not a dictionary")
            if pair[0] in found:
                raise WorkerProtocolError("a key twice")
            found[pair[0]] = pair[1]
        return found

    def blob(self, number: object) -> Blob:
        """The blob `number`, which nothing else of the message has."""
        if type(number) is not int or not 0 <= number < len(self._blobs) or number in self._used:
            raise WorkerProtocolError("not a blob of this message")
        self._used.add(number)
        return self._blobs[number]

    def fill(self, blob: Blob, target: memoryview) -> None:
        """Copy the bytes of `blob`."""
        if target.nbytes != blob.nbytes:
            raise WorkerProtocolError("a blob of another size")
        if blob.nbytes:
            self._read(blob.offset, target)

    def bytes_of(self, number: object) -> bytearray:
        """The bytes of a blob."""
        blob = self.blob(number)
        if blob.dtype != "uint8" or len(blob.shape) != 1:
            raise WorkerProtocolError("not bytes")
        data = bytearray(blob.nbytes)
        self.fill(blob, memoryview(data))
        return data


def checked_keys(value: object, *keys: str) -> tuple[Any, ...]:
    """The values of an object that has exactly these keys.

    Raises:
        WorkerProtocolError: it is anything else.
    """
    if type(value) is not dict or value.keys() != set(keys):
        raise WorkerProtocolError(f"an object with {', '.join(keys)} was due")
    return tuple(value[key] for key in keys)


def checked_text(value: object, max_chars: int = 4096) -> str:
    """A string of at most `max_chars`.

    Raises:
        WorkerProtocolError: it is anything else.
    """
    if type(value) is not str or len(value) > max_chars:
        raise WorkerProtocolError("a short text was due")
    return value
