"""The child's end of the socket: takes requests one by one, answers each, ends when the parent is gone.

It trusts the parent, which started it. Nothing here holds anybody back: what does is the kernel.
"""

from __future__ import annotations

import array
import os
import socket
from typing import Any, Final, Protocol, final

from ..errors import PolicyError, RemoteCodeError
from .arena import Arena
from .frames import PREFIX_BYTES, frame, frame_length, parse_blobs, parse_header
from .values import Decoder, Encoder, encoded

_MAX_MESSAGE_CHARS: Final = 4000
#: Findings of a refusal that are sent; the report of `safe-remote-code audit` has them all.
_MAX_FINDINGS: Final = 200


class Service(Protocol):
    """What the worker does for its parent."""

    def special(self, tag: str, value: Any, decoder: Decoder) -> object:
        """The value of a tag that the plain values do not know."""

    def encode_special(self, value: Any, encoder: Encoder) -> dict[str, object] | None:
        """A value that the plain values do not know, or None."""

    def answer(self, operation: str, body: Any) -> object:
        """Do what is asked; the answer."""


@final
class Server:
    """Serves one parent over `connection`."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._arenas: dict[str, Arena] = {}
        self._id = 0
        self._service: Service | None = None

    def first(self) -> Any:
        """The body of the first request, which says how to confine this process; it is answered later."""
        header = self._receive()
        self._id = header["id"]
        return Decoder((), self._read).decode(header["body"])

    def reply(self, value: object) -> None:
        """Answer the request that is open."""
        self._say("reply", value)

    def fail(self, error: BaseException) -> None:
        """Answer the request that is open with what was raised."""
        self._say("failure", described(error))

    def serve(self, service: Service) -> None:
        """Answer requests until the parent closes its end."""
        self._service = service
        while True:
            self._answer(self._receive())

    def stream(self, value: object) -> bool:
        """Hand tokens over, and serve what the parent asks meanwhile; whether to go on."""
        self._say("stream", value)
        return self._until_answered()

    def record(self, value: object) -> None:
        """Tell something that happened; there is no answer."""
        self._say("record", value)

    def _answer(self, header: dict[str, Any]) -> None:
        service, outer, self._id = self._service, self._id, header["id"]
        if service is None:
            raise RuntimeError("no service")
        try:
            body = Decoder(parse_blobs(header["blobs"], self._size("in")), self._read, service.special)
            self.reply(service.answer(header["operation"], body.decode(header["body"])))
        except EOFError:
            raise
        except BaseException as error:  # SystemExit of remote code is no reason to leave
            self.fail(error)
        finally:
            self._id = outer

    def _until_answered(self) -> bool:
        while True:
            header = self._receive()
            if header["kind"] in ("go-on", "stop"):
                return bool(header["kind"] == "go-on")
            self._answer(header)

    def _say(self, kind: str, value: object) -> None:
        encoder = Encoder(self._service.encode_special if self._service is not None else None)
        body = encoded(encoder, value, "from")
        blobs = encoder.blobs()
        if blobs and blobs[-1].end > self._size("out"):
            self._send({"kind": "grow", "id": self._id, "body": blobs[-1].end, "blobs": []})
            self._until_answered()
        for blob, (_, _, data) in zip(blobs, encoder.buffers, strict=True):
            if blob.nbytes:
                self._arenas["out"].write(blob.offset, data)
        self._send({"kind": kind, "id": self._id, "body": body, "blobs": [blob.header() for blob in blobs]})

    def _send(self, header: dict[str, object]) -> None:
        self._socket.sendall(frame(header))

    def _size(self, direction: str) -> int:
        return self._arenas[direction].size_bytes if direction in self._arenas else 0

    def _read(self, offset: int, target: memoryview) -> None:
        self._arenas["in"].read_into(offset, target)

    def _receive(self) -> dict[str, Any]:
        while True:
            prefix, descriptor = self._prefix()
            header: dict[str, Any] = parse_header(self._exactly(frame_length(prefix)))
            if header["kind"] != "arena":
                return header
            direction, size_bytes = header["direction"], header["bytes"]
            if direction in self._arenas:
                self._arenas[direction].close()
            self._arenas[direction] = Arena(descriptor, size_bytes)

    def _prefix(self) -> tuple[bytes, int]:
        data, messages, _, _ = self._socket.recvmsg(PREFIX_BYTES, socket.CMSG_LEN(array.array("i").itemsize))
        descriptors = array.array("i")
        for level, kind, content in messages:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
        if not data:
            raise EOFError
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        return data + self._exactly(PREFIX_BYTES - len(data)), descriptors[0] if descriptors else -1

    def _exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            data = self._socket.recv(min(count - len(parts), 1 << 20))
            if not data:
                raise EOFError
            parts += data
        return bytes(parts)


def described(error: BaseException) -> dict[str, object]:
    """What of an error crosses: its kind, its words, and for refusals of ours what to do and why."""
    link: BaseException | None = error
    while link is not None and not isinstance(link, RemoteCodeError):
        link = link.__cause__
    if link is not None:
        findings = link.findings[:_MAX_FINDINGS] if isinstance(link, PolicyError) else ()
        return {
            "kind": type(link).__name__, "message": _cut(link.message), "subject": _cut(link.subject),
            "remedy": _cut(link.remedy), "findings": [_finding(item) for item in findings],
        }  # fmt: skip
    return {"kind": _builtin_kind(error), "message": _words(error), "subject": "", "remedy": "", "findings": []}


def _builtin_kind(error: BaseException) -> str:
    """The nearest base that both sides know."""
    kinds = (kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins")
    return next(kinds, "Exception")


def _words(error: BaseException) -> str:
    try:
        words = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    except BaseException:
        words = "<no message>"
    return _cut(words if type(error).__module__ == "builtins" else f"{type(error).__name__}: {words}")


def _finding(finding: Any) -> dict[str, object]:
    return {name: getattr(finding, name) for name in finding.__slots__}


def _cut(text: str) -> str:
    # Lone surrogates are no text for a terminal or a file.
    return text[:_MAX_MESSAGE_CHARS].encode("utf-8", "replace").decode("utf-8")
