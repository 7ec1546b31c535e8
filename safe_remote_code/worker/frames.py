"""Frames, headers and blobs: the form of every message, bounded and checked. Pure.

A frame is `SRCW`, a length (32 bits, big-endian) and that many bytes of ASCII JSON, an object. Tensor bytes are
not in it: they lie in an *arena*, a memory file that the parent made and sealed against resizing, and the
header says which part of it, of which dtype and shape (`Blob`).
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, final

from ..errors import WorkerProtocolError

MAGIC: Final = b"SRCW"
_PREFIX: Final = struct.Struct(">4sI")
PREFIX_BYTES: Final = _PREFIX.size
#: A vocabulary of 250,000 tokens is 8 MB of JSON; texts of a large batch are less.
MAX_HEADER_BYTES: Final = 64 * 1024 * 1024
#: Lists and objects of one header, which cost the reader twenty times their text; one each for a million tokens fits.
MAX_CONTAINERS: Final = 4 * 1024 * 1024
#: Parts of one message in the arena: the state of a large model is asked for one tensor at a time.
MAX_BLOBS: Final = 4096
MAX_DIMENSIONS: Final = 16
#: One arena. Logits of a batch of 8, 32k tokens, vocabulary of 150k in 16 bits are 73 GiB, which nobody ships.
MAX_ARENA_BYTES: Final = 32 * 1024**3
MAX_INTEGER: Final = 2**63
#: Alignment of blobs in an arena, in bytes; the widest element type has 16.
ALIGNMENT: Final = 64

#: Bytes of one element. The allowlist: no dtype that holds references, none of variable size.
DTYPES: Final = {
    "bool": 1, "uint8": 1, "int8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8,
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "complex64": 8, "complex128": 16,
    "float8_e4m3fn": 1, "float8_e5m2": 1,
}  # fmt: skip


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A part of an arena: `offset` in bytes, `shape` in elements of `dtype`."""

    dtype: str
    shape: tuple[int, ...]
    offset: int

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise WorkerProtocolError(f"a dtype that is not on the list: {self.dtype!r:.40}")
        if len(self.shape) > MAX_DIMENSIONS or any(type(size) is not int or size < 0 for size in self.shape):
            raise WorkerProtocolError(f"not a shape: {self.shape!r:.80}")
        if math.prod(max(size, 1) for size in self.shape) > MAX_ARENA_BYTES:  # strides of an empty tensor overflow, too
            raise WorkerProtocolError(f"an impossible shape: {self.shape!r:.80}")
        if type(self.offset) is not int or self.offset < 0 or self.offset % ALIGNMENT or self.end > MAX_ARENA_BYTES:
            raise WorkerProtocolError("a blob outside every arena")

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return math.prod(self.shape) * DTYPES[self.dtype]

    @property
    def end(self) -> int:
        """Offset of the first byte after it."""
        return self.offset + self.nbytes

    def header(self) -> list[object]:
        """As it stands in a frame."""
        return [self.dtype, list(self.shape), self.offset]


def placed(descriptions: list[tuple[str, tuple[int, ...]]]) -> tuple[Blob, ...]:
    """Blobs of these dtypes and shapes, one after the other from the start of an arena."""
    blobs: list[Blob] = []
    place = 0
    for dtype, shape in descriptions:
        blobs.append(Blob(dtype=dtype, shape=shape, offset=place))
        place = -(-blobs[-1].end // ALIGNMENT) * ALIGNMENT
    return tuple(blobs)


def frame(header: dict[str, object]) -> bytes:
    """One message, ready to be sent.

    Raises:
        ValueError: it is not JSON, or too large.
    """
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode("ascii")
    if len(text) > MAX_HEADER_BYTES:
        raise ValueError(f"a message of {len(text)} bytes; at most {MAX_HEADER_BYTES} may be sent")
    return _PREFIX.pack(MAGIC, len(text)) + text


def frame_length(prefix: bytes) -> int:
    """Bytes that follow the first `PREFIX_BYTES` of a frame.

    Raises:
        WorkerProtocolError: not a frame, or too large.
    """
    magic, length = _PREFIX.unpack(prefix)
    if magic != MAGIC or not 2 <= length <= MAX_HEADER_BYTES:
        raise WorkerProtocolError("what came is not a frame of the protocol")
    return int(length)


def parse_header(text: bytes) -> dict[str, object]:
    """The JSON object of a frame: ASCII, no key twice, no NaN, integers of 64 bits, at most `MAX_CONTAINERS` brackets.

    Raises:
        WorkerProtocolError: it is anything else.
    """
    if text.count(b"[") + text.count(b"{") > MAX_CONTAINERS:
        raise WorkerProtocolError("a header of too many lists and objects")
    try:
        value = json.loads(
            text.decode("ascii"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_integer,
            parse_float=_number,
        )  # fmt: skip
    except (ValueError, RecursionError) as error:
        raise WorkerProtocolError(f"a malformed header: {type(error).__name__}") from None
    if type(value) is not dict:
        raise WorkerProtocolError("a header is an object")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _no_constant(text: str) -> object:
    raise ValueError(text)


def _integer(text: str) -> int:
    if len(text) > 20 or not -MAX_INTEGER <= int(text) < MAX_INTEGER:
        raise ValueError("an integer beyond 64 bits")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number beyond a double")
    return value


def parse_blobs(value: object, arena_bytes: int) -> tuple[Blob, ...]:
    """The blobs of a header, one after the other inside an arena of `arena_bytes`.

    Raises:
        WorkerProtocolError: malformed, too many, outside, or overlapping: together they are no more than the arena.
    """
    if type(value) is not list or len(value) > MAX_BLOBS:
        raise WorkerProtocolError("not a list of blobs")
    blobs = tuple(_blob(item) for item in value)
    if any(blob.end > arena_bytes for blob in blobs):
        raise WorkerProtocolError("a blob outside the arena")
    if any(after.offset < before.end for before, after in pairwise(blobs)):
        raise WorkerProtocolError("blobs that overlap")
    return blobs


def _blob(item: object) -> Blob:
    if type(item) is not list or len(item) != 3 or type(item[0]) is not str or type(item[1]) is not list:
        raise WorkerProtocolError("not a blob")
    return Blob(dtype=item[0], shape=tuple(item[1]), offset=item[2])
