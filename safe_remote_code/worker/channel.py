"""The parent's end of the socket: sends, waits with a deadline, and ends the worker at the first odd thing.

Rules: one request at a time (a lock); what a reply holds is copied out of the arena before the next message
is sent; every wait has a deadline; whatever goes wrong while waiting, an interrupt of the user included,
ends the worker, because afterwards nobody could say which answer belongs to what.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, Literal, final

from ..errors import WorkerDiedError, WorkerError, WorkerProtocolError, WorkerTimeoutError
from .arena import LARGEST_KEPT_BYTES, Arena, fitting_bytes
from .frames import MAX_ARENA_BYTES, Blob
from .protocol import Conversation, Event
from .values import Buffer, Decoder, Special

#: A child whose socket is closed is about to end; what it ends with is the cause to tell.
_PATIENCE_SECONDS: Final = 1.0
#: Tokens of one generate; a deadline holds for each of them, so something must bound their number.
_MAX_STREAMED: Final = 1 << 20


@final
class Channel:
    """A conversation over a connected socket.

    `ended` kills what is at the other end, after so many seconds in which it may end by itself, reaps it and says
    how it ended; it may be called more than once.
    """

    def __init__(
        self,
        connection: socket.socket,
        reply_seconds: float,
        ended: Callable[[float], str],
        max_arena_bytes: int = MAX_ARENA_BYTES,
    ) -> None:
        self._pid = os.getpid()
        self._socket = connection
        self._reply_seconds = reply_seconds
        self._ended = ended
        self._conversation = Conversation(max_arena_bytes)
        self._lock = threading.RLock()
        self._arenas: dict[str, Arena] = {}
        self._dead: str | None = None

    @property
    def dead(self) -> bool:
        """Whether the worker has ended."""
        return self._dead is not None

    def ask(
        self,
        operation: str,
        body: object,
        special: Special | None = None,
        *,
        buffers: list[Buffer] | None = None,
        blobs: tuple[Blob, ...] = (),
        on_stream: Callable[[object], None] | None = None,
        on_record: Callable[[object], None] | None = None,
        seconds: float | None = None,
    ) -> tuple[Literal["reply", "failure"], object]:
        """Ask for `operation`; whether it succeeded, and the decoded body of the answer.

        Raises:
            WorkerError: the worker is gone, silent or out of protocol; it has been ended.
        """
        if os.getpid() != self._pid:
            raise WorkerError("the worker belongs to the process that this one was forked from", subject="worker",
                              remedy="load the model in this process, too")  # fmt: skip
        with self._lock:
            if self._dead is not None:
                raise WorkerDiedError(self._dead, subject="worker", remedy="load the model again")
            with self._ending():
                self._lay(buffers or [], blobs)
                request = self._conversation.request(
                    operation, body, blobs, streams=on_stream is not None, records=on_record is not None
                )
                self._send(request)
                return self._answered(special, on_stream, on_record, seconds or self._reply_seconds)

    def _answered(
        self,
        special: Special | None,
        on_stream: Callable[[object], None] | None,
        on_record: Callable[[object], None] | None,
        seconds: float,
    ) -> tuple[Literal["reply", "failure"], object]:
        raised: BaseException | None = None
        deadline, streamed = time.monotonic() + seconds, 0
        while True:
            event = self._event(deadline)
            if event.kind == "grow":
                self._grow(event)
                continue
            value = self._decoded(event, special)
            if event.kind == "record" and on_record is not None:
                on_record(value)
            elif event.kind == "stream" and on_stream is not None:
                raised = raised or _raised(on_stream, value)
                streamed += 1
                if streamed > _MAX_STREAMED:
                    raise WorkerProtocolError("more tokens than anybody waits for")
                self._send(self._conversation.answer(go_on=raised is None))
                deadline = time.monotonic() + seconds
            elif event.kind in ("reply", "failure"):
                self._drop_large()
                if raised is not None:
                    raise _Streamer(raised)
                return event.kind, value

    def _decoded(self, event: Event, special: Special | None) -> object:
        try:
            return Decoder(event.blobs, self._read, special).decode(event.body)
        except WorkerError:
            raise
        except Exception as error:  # a library would not make an object of these values: no honest child sends them
            raise WorkerProtocolError(f"an answer that is no value ({type(error).__name__})") from None

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        """End the worker if the body fails for any reason but the streamer's own."""
        try:
            yield
        except _Streamer as error:
            raise error.original from None
        except (TimeoutError, WorkerTimeoutError):
            self.end("it gave no answer in time and was killed")
            raise WorkerTimeoutError(f"no answer in {self._reply_seconds:g} seconds", subject="worker",
                                     remedy="raise reply_seconds under [worker] in the policy") from None  # fmt: skip
        except (OSError, EOFError):
            cause = self.end(patience_seconds=_PATIENCE_SECONDS)
            raise WorkerDiedError(cause, subject="worker", remedy="load the model again") from None
        except WorkerProtocolError as error:
            self.end("it did not keep to the protocol and was killed")
            raise WorkerProtocolError(error.message, subject="worker",
                                      remedy="take the repository for hostile, and report it") from None  # fmt: skip
        except BaseException:
            self.end("the call was interrupted, and it was killed")
            raise

    def end(self, why: str = "", *, patience_seconds: float = 0.0) -> str:
        """End the worker, now; how it ended."""
        if os.getpid() != self._pid:
            return "it belongs to another process"
        how = self._ended(patience_seconds)
        if self._dead is None:
            self._dead = f"the worker has ended: {why or how}"
            self._socket.close()
            for arena in self._arenas.values():
                arena.close()
        return self._dead

    def _event(self, deadline: float) -> Event:
        while True:
            event = self._conversation.next_event()
            if event is not None:
                return event
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            self._socket.settimeout(remaining)
            data = self._socket.recv(min(self._conversation.wanted, 1 << 20))
            if not data:
                raise EOFError
            self._conversation.receive_data(data)

    def _send(self, data: bytes, descriptor: int | None = None) -> None:
        self._socket.settimeout(self._reply_seconds)
        if descriptor is not None:
            data = data[socket.send_fds(self._socket, [data], [descriptor]) :]
        self._socket.sendall(data)

    def _lay(self, buffers: list[Buffer], blobs: tuple[Blob, ...]) -> None:
        """Put the bytes of a request into the arena that the child reads."""
        if not blobs:
            return
        arena = self._arenas.get("in")
        if arena is None or arena.size_bytes < blobs[-1].end:
            arena = self._offer("in", fitting_bytes(blobs[-1].end))
        for blob, (_, _, data) in zip(blobs, buffers, strict=True):
            arena.write(blob.offset, data)

    def _grow(self, event: Event) -> None:
        if type(event.body) is not int:
            raise WorkerProtocolError("not a size")
        self._offer("out", fitting_bytes(event.body))
        self._send(self._conversation.answer())

    def _offer(self, direction: Literal["in", "out"], size_bytes: int) -> Arena:
        if direction in self._arenas:
            self._arenas.pop(direction).close()
        arena = self._arenas[direction] = Arena.create(size_bytes)
        self._send(self._conversation.offer(direction, size_bytes), arena.descriptor)
        return arena

    def _read(self, offset: int, target: memoryview) -> None:
        arena = self._arenas.get("out")
        if arena is None:
            raise WorkerProtocolError("no arena was given")
        arena.read_into(offset, target)

    def _drop_large(self) -> None:
        """Do not keep the memory of one large message for good."""
        large: tuple[Literal["in", "out"], ...] = ("in", "out")
        for direction in large:
            if direction in self._arenas and self._arenas[direction].size_bytes > LARGEST_KEPT_BYTES:
                self._offer(direction, fitting_bytes(1))


@final
class _Streamer(Exception):
    """What the user's own streamer raised."""

    def __init__(self, original: BaseException) -> None:
        self.original = original


def _raised(call: Callable[[object], None], value: object) -> BaseException | None:
    try:
        call(value)
    except WorkerError:
        raise  # of a request inside this one: there is nobody left to answer
    except BaseException as error:
        return error
    return None
