"""Envelopes: distinct keys by what they are, one reading, one type. Each refused row is an attack."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from safe_remote_code.errors import SignatureError
from safe_remote_code.signing import dsse
from safe_remote_code.signing.keys import GENERATED, PrivateKey, PublicKey, generate, parse_public

KIND = "application/vnd.in-toto+json"
PAYLOAD = b'{"a":1}'
ALICE, BOB, EVE = generate(), generate("ecdsa-p256"), generate()


def _edited(edit: Callable[[dict[str, Any]], None], keys: list[PrivateKey] | None = None) -> bytes:
    value = json.loads(dsse.sign(PAYLOAD, KIND, keys or [ALICE]))
    edit(value)
    return json.dumps(value).encode()


def _sig(key: PrivateKey, payload: bytes = PAYLOAD, kind: str = KIND) -> str:
    return base64.b64encode(key.sign(dsse.pae(payload, kind))).decode()


def test_the_encoding_is_the_one_of_the_specification() -> None:
    """The example of protocol.md."""
    assert dsse.pae(b"hello world", "http://example.com/HelloWorld") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert dsse.pae(b"", "é") == b"DSSEv1 2 \xc3\xa9 0 ", "lengths are of bytes"


@pytest.mark.parametrize("algorithm", GENERATED)
def test_what_a_key_signs_it_verifies(algorithm: str) -> None:
    key = generate(algorithm)
    verified = dsse.verify(dsse.sign(PAYLOAD, KIND, [key]), KIND, [key.public])
    assert (verified.payload, verified.key_ids) == (PAYLOAD, {key.public.key_id})


def test_two_of_three_is_met_by_two_and_not_by_one() -> None:
    trusted = [ALICE.public, BOB.public, EVE.public]
    both = dsse.verify(dsse.sign(PAYLOAD, KIND, [ALICE, BOB]), KIND, trusted, 2)
    assert both.key_ids == {ALICE.public.key_id, BOB.public.key_id}
    with pytest.raises(SignatureError, match="signed by 1 trusted keys of the 2"):
        dsse.verify(dsse.sign(PAYLOAD, KIND, [ALICE]), KIND, trusted, 2)


def test_a_claimed_key_id_decides_nothing() -> None:
    def swap(value: dict[str, Any]) -> None:
        value["signatures"][0]["keyid"] = BOB.public.key_id

    assert dsse.verify(_edited(swap), KIND, [ALICE.public, BOB.public]).key_ids == {ALICE.public.key_id}


def _twice(value: dict[str, Any]) -> None:
    value["signatures"] = [{"keyid": name, "sig": _sig(ALICE)} for name in ("alice", "bob")]


def test_one_key_under_two_names_is_one_key() -> None:
    with pytest.raises(SignatureError, match="signed by 1 trusted keys of the 2"):
        dsse.verify(_edited(_twice), KIND, [ALICE.public, BOB.public], 2)


def test_two_signatures_by_one_key_are_one_key() -> None:
    """ECDSA: each signature is another one, and (r, n - s) is a third."""
    def more(value: dict[str, Any]) -> None:
        value["signatures"] = [{"keyid": "", "sig": _sig(BOB)} for _ in range(3)]

    with pytest.raises(SignatureError, match="signed by 1 trusted"):
        dsse.verify(_edited(more, [BOB]), KIND, [ALICE.public, BOB.public], 2)


def test_one_key_trusted_under_two_spellings_is_one_key() -> None:
    """PEM and OpenSSH lines, compressed and uncompressed points: the same value."""
    from cryptography.hazmat.primitives import serialization as s

    key: Any = s.load_der_public_key(BOB.public.der)
    ssh = key.public_bytes(s.Encoding.OpenSSH, s.PublicFormat.OpenSSH).decode()
    point = key.public_bytes(s.Encoding.X962, s.PublicFormat.CompressedPoint)
    header = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    pem = b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(header + point) + b"-----END PUBLIC KEY-----\n"
    assert {parse_public(ssh + " bob@two"), parse_public(pem.decode()), BOB.public} == {BOB.public}
    with pytest.raises(SignatureError, match="only 1 distinct keys"):
        dsse.check_threshold([parse_public(ssh), parse_public(pem.decode())], 2)
    with pytest.raises(SignatureError, match="canonical"):
        PublicKey(header + point)


def _set(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.__setitem__(key, value)


def _signature(value: object) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.__setitem__("signatures", [{"keyid": "", "sig": value}])


GOOD = _sig(ALICE)
REFUSED: dict[str, Callable[[dict[str, Any]], None]] = {
    "no signature": _set("signatures", []),
    "signatures that are an object": _set("signatures", {"0": {"sig": GOOD}}),
    "signatures absent": lambda value: value.__delitem__("signatures"),
    "a signature that is text": _set("signatures", [GOOD]),
    "more signatures than are looked at": lambda value: value.__setitem__("signatures", [{"sig": "AA=="}] * 40 + value["signatures"]),
    "an empty signature": _signature(""),
    "a signature that is null": _signature(None),
    "a signature without padding": _signature(GOOD.rstrip("=")),
    "URL-safe base64": _signature(base64.urlsafe_b64encode(b"\xff" * 64).decode()),
    "base64 with a newline": _signature(GOOD[:40] + "\n" + GOOD[40:]),
    "base64 with a space": _signature(GOOD + " "),
    "base64 with bits that stand for nothing": _signature(GOOD[:-3] + chr(ord(GOOD[-3]) + 1) + "=="),
    "a signature of another payload": _signature(_sig(ALICE, b'{"a":2}')),
    "a signature of another type": _signature(_sig(ALICE, kind="text/plain")),
    "a signature of the payload without its frame": _signature(base64.b64encode(ALICE.sign(PAYLOAD)).decode()),
    "a signature by a stranger": _signature(_sig(EVE)),
    "a signature by another algorithm": _signature(_sig(BOB)),
    "a signature with a byte more": _signature(base64.b64encode(base64.b64decode(GOOD) + b"\0").decode()),
    "a signature of zeros": _signature(base64.b64encode(bytes(64)).decode()),
    "another type": _set("payloadType", "text/plain"),
    "the type in other letters": _set("payloadType", KIND.upper()),
    "no type": _set("payloadType", None),
    "another payload": _set("payload", base64.b64encode(b'{"a":2}').decode()),
    "an empty payload": _set("payload", ""),
    "no payload": _set("payload", 7),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused(case: str) -> None:
    with pytest.raises(SignatureError):
        dsse.verify(_edited(REFUSED[case]), KIND, [ALICE.public])


TEXT = dsse.sign(PAYLOAD, KIND, [ALICE]).decode()
MALFORMED = {
    "nothing": "",
    "a list": "[]",
    "cut off": TEXT[:-1],
    "something behind it": TEXT + "{}",
    "a duplicate key": TEXT[:-1] + ',"payloadType":"' + KIND + '"}',
    "a byte order mark": "\ufeff" + TEXT,
    "NaN": TEXT[:-1] + ',"x":NaN}',
    "a fraction": TEXT[:-1] + ',"x":1.5}',
    "a deep nest": TEXT[:-1] + ',"x":' + "[" * 100_000 + "]" * 100_000 + "}",
    "a number of many digits": TEXT[:-1] + ',"x":' + "9" * 10_000 + "}",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_text_is_refused(case: str) -> None:
    with pytest.raises(SignatureError):
        dsse.verify(MALFORMED[case].encode(), KIND, [ALICE.public])
    assert dsse.verify(TEXT.encode(), KIND, [ALICE.public]).payload == PAYLOAD


def test_other_encodings_than_utf_8_are_refused() -> None:
    for encoding in ("utf-16", "utf-32", "utf-7"):
        data = TEXT.replace("payloadType", "payloadTypé").encode(encoding)
        with pytest.raises(SignatureError):
            dsse.verify(data, KIND, [ALICE.public])


def test_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dsse, "MAX_ENVELOPE_BYTES", len(TEXT) - 1)
    with pytest.raises(SignatureError, match="larger than"):
        dsse.verify(TEXT.encode(), KIND, [ALICE.public])


def test_demands_that_are_empty_or_cannot_be_met_are_refused() -> None:
    envelope = dsse.sign(PAYLOAD, KIND, [ALICE])
    with pytest.raises(SignatureError, match="no key is trusted"):
        dsse.verify(envelope, KIND, [])
    with pytest.raises(SignatureError, match="only 1 distinct"):
        dsse.verify(envelope, KIND, [ALICE.public, ALICE.public], 2)
    for threshold in (0, -1, True):
        with pytest.raises(ValueError, match="at least one"):
            dsse.verify(envelope, KIND, [ALICE.public], threshold)
    with pytest.raises(ValueError, match="nobody"):
        dsse.Verified(payload=PAYLOAD, key_ids=frozenset())


def test_signing_needs_distinct_keys() -> None:
    for keys in ([], [ALICE, ALICE]):
        with pytest.raises(ValueError, match="distinct"):
            dsse.sign(PAYLOAD, KIND, keys)


def test_one_flipped_bit_anywhere_in_payload_or_signature_is_refused() -> None:
    def flip(field: bytes, index: int) -> str:
        return base64.b64encode(field[: index // 8] + bytes([field[index // 8] ^ 1 << index % 8]) + field[index // 8 + 1 :]).decode()

    signature = base64.b64decode(GOOD)
    for index in range(len(signature) * 8):
        with pytest.raises(SignatureError):
            dsse.verify(_edited(_signature(flip(signature, index))), KIND, [ALICE.public])
    for index in range(len(PAYLOAD) * 8):
        with pytest.raises(SignatureError):
            dsse.verify(_edited(_set("payload", flip(PAYLOAD, index))), KIND, [ALICE.public])


def test_an_envelope_is_spelt_as_the_specification_says() -> None:
    keys = sorted((ALICE, EVE), key=lambda key: key.public.key_id)
    signatures = [{"keyid": key.public.key_id, "sig": _sig(key)} for key in keys]
    expected = {"payload": base64.b64encode(PAYLOAD).decode(), "payloadType": KIND, "signatures": signatures}
    made = dsse.sign(PAYLOAD, KIND, [EVE, ALICE])
    assert made == dsse.sign(PAYLOAD, KIND, [ALICE, EVE]) == json.dumps(expected, separators=(",", ":")).encode()


def test_merging_keeps_each_signature_once_and_in_order() -> None:
    one, other = (json.loads(dsse.sign(PAYLOAD, KIND, [key])) for key in (ALICE, BOB))
    merged = json.loads(dsse.merge(json.dumps(one | {"note": 1}).encode(), json.dumps(other | {"note": 2}).encode()))
    assert merged == one | {"signatures": [*one["signatures"], *other["signatures"]], "note": 1}
    again = dsse.merge(json.dumps(merged).encode(), json.dumps(other).encode())
    assert json.loads(again) == merged, "what is there already is not added"
    assert again == json.dumps(merged, sort_keys=True, separators=(",", ":")).encode()
    assert dsse.verify(again, KIND, [ALICE.public, BOB.public], 2).payload == PAYLOAD


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(("key", "value"), [("payload", "e30="), ("payloadType", "text/plain")])
def test_envelopes_of_different_content_are_not_merged(key: str, value: str, swapped: bool) -> None:
    one = json.loads(TEXT)
    pair = [json.dumps(item).encode() for item in (one, one | {key: value})]
    with pytest.raises(SignatureError, match=f"two envelopes differ in their {key}$"):
        dsse.merge(*(pair[::-1] if swapped else pair))
