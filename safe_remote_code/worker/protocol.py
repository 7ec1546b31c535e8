"""The protocol of parent and worker: pure, no I/O (as h11 and h2 are), because one side of it is hostile.

A frame is `SRCW`, a length (32 bits, big-endian) and that many bytes of ASCII JSON. Tensor bytes are not
in it: they lie in an *arena*, a memory file that the parent made and sealed against resizing, and the header
says which part of it, of which dtype and shape (`Blob`).

The parent asks, the child answers; each request is answered by exactly one of `reply` and `failure`. Before
that, the child may ask for a larger arena (`grow`) or hand over tokens (`stream`), each of which the parent
must answer before anything else comes; while it handles tokens, the parent may ask further requests.
`record` is one-way and comes only while the parent listens for it.

Guarantee: an `Event` that `Conversation.next_event` returns is of a kind that was due, has the id that was
due, and every blob of it lies inside the arena. Everything else is `WorkerProtocolError`, after which the
conversation gives nothing any more.

It does not: say what a body means (see `values`), nor wait or time anything (see `channel`).
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Final, Literal, final

from ..errors import WorkerProtocolError

MAGIC: Final = b"SRCW"
_PREFIX: Final = struct.Struct(">4sI")
PREFIX_BYTES: Final = _PREFIX.size
#: A vocabulary of 250,000 tokens is 8 MB of JSON; texts of a large batch are less.
MAX_HEADER_BYTES: Final = 64 * 1024 * 1024
#: Parts of one message in the arena: the state of a large model is asked for one tensor at a time.
MAX_BLOBS: Final = 4096
MAX_DIMENSIONS: Final = 16
#: One arena. Logits of a batch of 8, 32k tokens, vocabulary of 150k in 16 bits are 73 GiB, which nobody ships.
MAX_ARENA_BYTES: Final = 32 * 1024**3
MAX_INTEGER: Final = 2**63
#: Requests inside requests: a streamer decodes while a model generates; deeper nesting has no use.
MAX_PENDING: Final = 4
#: Alignment of blobs in an arena, in bytes; the widest element type has 16.
ALIGNMENT: Final = 64

#: Bytes of one element. The allowlist: no dtype that holds references, none of variable size.
DTYPES: Final = {
    "bool": 1, "uint8": 1, "int8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8,
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "complex64": 8, "complex128": 16,
    "float8_e4m3fn": 1, "float8_e5m2": 1,
}  # fmt: skip

Kind = Literal["reply", "failure", "stream", "grow", "record"]
_KINDS: Final[tuple[Kind, ...]] = ("reply", "failure", "stream", "grow", "record")


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


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One checked message of the child."""

    kind: Kind
    body: object
    blobs: tuple[Blob, ...] = ()


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
    """The JSON object of a frame: ASCII, no key twice, no NaN, integers of 64 bits.

    Raises:
        WorkerProtocolError: it is anything else.
    """
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
    """The blobs of a header, all inside an arena of `arena_bytes`.

    Raises:
        WorkerProtocolError: malformed, too many, or outside.
    """
    if type(value) is not list or len(value) > MAX_BLOBS:
        raise WorkerProtocolError("not a list of blobs")
    blobs = tuple(_blob(item) for item in value)
    if any(blob.end > arena_bytes for blob in blobs):
        raise WorkerProtocolError("a blob outside the arena")
    return blobs


def _blob(item: object) -> Blob:
    if type(item) is not list or len(item) != 3 or type(item[0]) is not str or type(item[1]) is not list:
        raise WorkerProtocolError("not a blob")
    return Blob(dtype=item[0], shape=tuple(item[1]), offset=item[2])


@final
class Conversation:
    """The parent's side: which requests are open, and what may come next.

    `arena_bytes` is the size of the arena that the child writes to.
    """

    def __init__(self) -> None:
        self.arena_bytes = 0
        self._buffer = bytearray()
        self._last = 0
        self._open: list[_Open] = []
        self._child_speaks = False
        self._broken = False

    @property
    def idle(self) -> bool:
        """Whether nothing is asked."""
        return not self._open

    @property
    def wanted(self) -> int:
        """How many bytes complete what is being read; never more than the frame that is due."""
        have = len(self._buffer)
        if have < PREFIX_BYTES:
            return PREFIX_BYTES - have
        return PREFIX_BYTES + self._checked(bytes(self._buffer[:PREFIX_BYTES])) - have

    def request(
        self, operation: str, body: object, blobs: tuple[Blob, ...] = (), *, streams: bool = False, records: bool = False
    ) -> bytes:
        """A frame that asks for `operation`; `streams` and `records`: which messages may come before the answer.

        Raises:
            RuntimeError: it is the child's turn, or requests are nested too deeply.
        """
        if self._broken or self._child_speaks or len(self._open) >= MAX_PENDING:
            raise RuntimeError("the worker cannot be asked now")
        data = frame(
            {"kind": "request", "id": self._last + 1, "operation": operation, "body": body,
             "blobs": [blob.header() for blob in blobs]}
        )  # fmt: skip
        self._last += 1
        self._open.append(_Open(self._last, streams, records))
        self._child_speaks = True
        return data

    def answer(self, *, go_on: bool = True) -> bytes:
        """A frame that lets the child go on after `stream` or `grow`, or (`stream`) tells it to stop."""
        if self._broken or self._child_speaks or not self._open:
            raise RuntimeError("the worker asked nothing")
        self._child_speaks = True
        return frame({"kind": "go-on" if go_on else "stop", "id": self._open[-1].id})

    def offer(self, direction: Literal["in", "out"], arena_bytes: int) -> bytes:
        """A frame that comes with the descriptor of a new arena for what the child reads (`in`) or writes (`out`)."""
        if self._broken or self._child_speaks:
            raise RuntimeError("the worker cannot be given an arena now")
        if direction == "out":
            self.arena_bytes = arena_bytes
        return frame({"kind": "arena", "direction": direction, "bytes": arena_bytes})

    def receive_data(self, data: bytes) -> None:
        """Take bytes that came from the child.

        Raises:
            WorkerProtocolError: it is not its turn.
        """
        if not self._child_speaks:
            raise self._break("it spoke without being asked")
        self._buffer += data

    def next_event(self) -> Event | None:
        """The next message, or None if it is not complete.

        Raises:
            WorkerProtocolError: what came is not what was due; nothing more will be given.
        """
        if self._broken:
            raise WorkerProtocolError("the conversation has ended")
        if len(self._buffer) < PREFIX_BYTES:
            return None
        end = PREFIX_BYTES + self._checked(bytes(self._buffer[:PREFIX_BYTES]))
        if len(self._buffer) < end:
            return None
        text = bytes(self._buffer[PREFIX_BYTES:end])
        del self._buffer[:end]
        try:
            event = self._event(parse_header(text))
        except WorkerProtocolError:
            self._broken = True
            raise
        if event.kind != "record":
            self._child_speaks = False
            if self._buffer:
                raise self._break("it said more than one message")
        if event.kind in ("reply", "failure"):
            self._open.pop()
        return event

    def _checked(self, prefix: bytes) -> int:
        try:
            return frame_length(prefix)
        except WorkerProtocolError:
            self._broken = True
            raise

    def _break(self, message: str) -> WorkerProtocolError:
        self._broken = True
        return WorkerProtocolError(message)

    def _event(self, header: dict[str, object]) -> Event:
        if header.keys() != {"kind", "id", "body", "blobs"}:
            raise WorkerProtocolError("a message has kind, id, body and blobs")
        kind, number = header["kind"], header["id"]
        waiting = self._open[-1]
        if type(number) is not int or number != waiting.id:
            raise WorkerProtocolError("an answer to something else")
        due = kind in ("reply", "failure", "grow")
        if kind not in _KINDS or not (due or (kind == "stream" and waiting.streams) or waiting.records):
            raise WorkerProtocolError(f"a message that was not due: {kind!r:.40}")
        blobs = parse_blobs(header["blobs"], self.arena_bytes)
        if kind == "grow":
            _check_growth(header["body"], self.arena_bytes, blobs)
        return Event(kind=kind, body=header["body"], blobs=blobs)


@final
@dataclass(frozen=True, slots=True)
class _Open:
    id: int
    streams: bool
    records: bool


def _check_growth(wanted: object, now: int, blobs: tuple[Blob, ...]) -> None:
    if type(wanted) is not int or not now < wanted <= MAX_ARENA_BYTES or blobs:
        raise WorkerProtocolError("an arena of an impossible size was asked for")
