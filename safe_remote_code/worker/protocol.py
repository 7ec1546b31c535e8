"""The protocol of parent and worker: pure, no I/O (as h11 and h2 are), because one side of it is hostile.

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

from dataclasses import dataclass
from typing import Final, Literal, final

from ..errors import WorkerProtocolError
from .frames import MAX_ARENA_BYTES, PREFIX_BYTES, Blob, frame, frame_length, parse_blobs, parse_header

#: Requests inside requests: a streamer decodes while a model generates; deeper nesting has no use.
MAX_PENDING: Final = 4

Kind = Literal["reply", "failure", "stream", "grow", "record"]
_KINDS: Final[tuple[Kind, ...]] = ("reply", "failure", "stream", "grow", "record")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One checked message of the child."""

    kind: Kind
    body: object
    blobs: tuple[Blob, ...] = ()


@final
class Conversation:
    """The parent's side: which requests are open, and what may come next.

    `arena_bytes` is the size of the arena that the child writes to; it may ask for `max_arena_bytes`.
    """

    def __init__(self, max_arena_bytes: int = MAX_ARENA_BYTES) -> None:
        self.arena_bytes = 0
        self._max_arena_bytes = min(max_arena_bytes, MAX_ARENA_BYTES)
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
        self,
        operation: str,
        body: object,
        blobs: tuple[Blob, ...] = (),
        *,
        streams: bool = False,
        records: bool = False,
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
            self._check_growth(header["body"], blobs)
        return Event(kind=kind, body=header["body"], blobs=blobs)

    def _check_growth(self, wanted: object, blobs: tuple[Blob, ...]) -> None:
        if type(wanted) is not int or not self.arena_bytes < wanted <= self._max_arena_bytes or blobs:
            raise WorkerProtocolError("an arena of an impossible size was asked for")


@final
@dataclass(frozen=True, slots=True)
class _Open:
    id: int
    streams: bool
    records: bool
