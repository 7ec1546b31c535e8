"""The protocol by itself: what is due is understood, everything else ends the conversation."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safe_remote_code.errors import WorkerProtocolError
from safe_remote_code.worker.arena import Arena
from safe_remote_code.worker.frames import MAX_HEADER_BYTES, Blob, frame, parse_header, placed
from safe_remote_code.worker.protocol import Conversation
from safe_remote_code.worker.values import Decoder, Encoder


def asked(**settings: bool) -> Conversation:
    conversation = Conversation(1 << 20)
    conversation.request("call", None, **settings)
    return conversation


def said(kind: str, number: object = 1, body: object = None, blobs: object = ()) -> bytes:
    return frame({"kind": kind, "id": number, "body": body, "blobs": list(blobs)})  # type: ignore[call-overload]


def hear(conversation: Conversation, data: bytes) -> object:
    conversation.receive_data(data)
    return conversation.next_event()


def test_a_reply_ends_the_request() -> None:
    conversation = asked()
    event = hear(conversation, said("reply", body=[1]))
    assert (event.kind, event.body, conversation.idle) == ("reply", [1], True)  # type: ignore[attr-defined]


def test_bytes_may_come_one_by_one() -> None:
    conversation, data = asked(), said("reply", body="x")
    for place in range(len(data) - 1):
        assert conversation.wanted <= len(data) - place
        assert hear(conversation, data[place : place + 1]) is None
    assert hear(conversation, data[-1:]) is not None


def test_tokens_are_answered_and_requests_may_be_asked_meanwhile() -> None:
    conversation = asked(streams=True)
    assert hear(conversation, said("stream")).kind == "stream"  # type: ignore[union-attr]
    conversation.request("call", None)
    assert hear(conversation, said("reply", 2)).kind == "reply"  # type: ignore[union-attr]
    conversation.answer()
    assert hear(conversation, said("reply", 1)).kind == "reply"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n",
        said("reply", 2), said("reply", 0), said("reply", True), said("reply", 1.0), said("reply", "1"),
        said("stream"), said("record"), said("request"), said("go-on"), said("arena"),
        said("grow", body=0), said("grow", body=-1), said("grow", body=1 << 40), said("grow", body="1"),
        said("grow", body=True), said("grow", body=4096, blobs=[["uint8", [1], 0]]),
        said("reply", blobs=[["uint8", [1], 0]]),  # no arena was given
        said("reply") + b"x",
        said("reply") + said("reply"),
        frame({"kind": "reply", "id": 1, "body": None}),
        frame({"kind": "reply", "id": 1, "body": None, "blobs": [], "more": 1}),
        b"SRCW\xff\xff\xff\xff", b"SRCW\x00\x00\x00\x00", b"SRCW\x00\x00\x00\x02[]", b"SRCW\x00\x00\x00\x02{}",
        b'SRCW\x00\x00\x00\x0e{"a":1,"a":2} ', b"SRCW\x00\x00\x00\x09{\"a\":NaN}", b"SRCW\x00\x00\x00\x04\xff\xfe{}",
    ],
)  # fmt: skip
def test_what_is_not_due_is_refused_and_nothing_is_given_after_it(data: bytes) -> None:
    conversation = asked()
    with pytest.raises(WorkerProtocolError):
        hear(conversation, data)
    with pytest.raises((WorkerProtocolError, RuntimeError)):
        conversation.next_event()
        conversation.request("call", None)


def test_speaking_unasked_is_refused() -> None:
    with pytest.raises(WorkerProtocolError):
        Conversation().receive_data(b"SRCW")


def test_nesting_is_bounded() -> None:
    with pytest.raises(WorkerProtocolError):
        parse_header(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def test_a_header_of_brackets_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safe_remote_code.worker.frames.MAX_CONTAINERS", 8)
    assert parse_header(b'{"a":[[],[],[],[],[],[]]}')
    with pytest.raises(WorkerProtocolError, match="too many lists"):
        parse_header(b'{"a":[[],[],[],[],[],[],{}]}')


def test_a_message_of_ours_is_bounded_too() -> None:
    with pytest.raises(ValueError, match="at most"):
        frame({"body": "x" * MAX_HEADER_BYTES})


@pytest.mark.parametrize(
    ("dtype", "shape", "offset"),
    [("object", (1,), 0), ("float32", (-1,), 0), ("float32", (1,), 1), ("float32", (1,), -64), ("float32", (2**62,), 0),
     ("float32", (0, 2**40), 0), ("uint8", (1,) * 17, 0), ("uint8", (True,), 0), ("uint8", (1,), 2**62)],
)  # fmt: skip
def test_impossible_blobs_are_refused(dtype: str, shape: tuple[int, ...], offset: int) -> None:
    with pytest.raises(WorkerProtocolError):
        Blob(dtype=dtype, shape=shape, offset=offset)


def test_blobs_lie_one_after_the_other() -> None:
    first, second = placed([("uint8", (65,)), ("float64", (2,))])
    assert (first.offset, second.offset, second.end) == (0, 128, 144)


def test_an_arena_cannot_be_resized_by_whoever_has_it() -> None:
    import os

    arena = Arena.create(4096)
    for size in (0, 8192):
        with pytest.raises(PermissionError):
            os.ftruncate(arena.descriptor, size)
    with pytest.raises(WorkerProtocolError):
        Arena(arena.descriptor, 8192).read_into(0, memoryview(bytearray(8192)))
    arena.close()


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner)
    | st.dictionaries(st.text() | st.integers(-(2**63), 2**63 - 1), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(_PLAIN)
@settings(max_examples=200, deadline=None)
def test_plain_values_come_back_as_they_were(value: object) -> None:
    encoder = Encoder()
    conversation = asked()
    body, blobs = encoder.encode(value), encoder.blobs()
    conversation.arena_bytes = 1 << 20
    event = hear(conversation, said("reply", 1, body, [blob.header() for blob in blobs]))
    memory = bytearray(1 << 20)
    for blob, (_, _, data) in zip(blobs, encoder.buffers, strict=True):
        memory[blob.offset : blob.end] = data

    def read(offset: int, target: memoryview) -> None:
        target[:] = memory[offset : offset + target.nbytes]

    assert Decoder(event.blobs, read).decode(event.body) == value  # type: ignore[attr-defined]


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes_are_waited_for_or_refused(data: bytes) -> None:
    conversation = asked(streams=True)
    try:
        assert hear(conversation, data) is None
    except WorkerProtocolError:
        pass
    else:
        assert len(data) < 8 or data[:4] == b"SRCW"
