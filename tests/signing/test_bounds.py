"""The edges of what is accepted: sizes, counts, seconds. Each pair is the last good value and the first bad one."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, final

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from safe_remote_code.errors import RemoteCodeError, SignatureError
from safe_remote_code.limits import MAX_DOCUMENT_BYTES, MAX_ENVELOPE_BYTES, MAX_KEY_BYTES, MAX_SIGNATURE_FILES
from safe_remote_code.signing import dsse, key_files, statements, store, strict_json
from safe_remote_code.signing.keys import PublicKey, generate, parse_private, parse_public
from safe_remote_code.signing.rotation import KeySet, current_keys, rotation_payload
from safe_remote_code.signing.ssh import parse_ssh_signature
from safe_remote_code.signing.statements import PAYLOAD_TYPE
from safe_remote_code.signing.store import read_signatures, write_file
from safe_remote_code.signing.times import CLOCK_SKEW, format_time, parse_time
from safe_remote_code.verify.memory import Seen, recall, remember
from signing.approvals import ALICE, BOB, DAY, NOW, approval, rule
from signing.test_refusals import armoured

SECOND = timedelta(seconds=1)


# --- sizes ----------------------------------------------------------------------------------------


def test_json_of_exactly_the_bound_is_read() -> None:
    assert strict_json.read_object(b'{"a":1}', "x", 7) == {"a": 1}
    with pytest.raises(SignatureError, match="larger than 6 bytes"):
        strict_json.read_object(b'{"a":1}', "x", 6)


def test_keys_of_exactly_the_bound_are_read() -> None:
    text = f"{ALICE.public.pem}"
    line = _openssh(ALICE.public)
    assert parse_public(text + " " * MAX_KEY_BYTES) == ALICE.public, "white space around a key counts for nothing"
    assert parse_public(f"{line} {'c' * (MAX_KEY_BYTES - len(line) - 1)}") == ALICE.public
    with pytest.raises(SignatureError, match="over 16384 bytes"):
        parse_public(f"{line} {'c' * (MAX_KEY_BYTES - len(line))}")
    pem = ALICE.pem(None)
    assert parse_private(pem.ljust(MAX_KEY_BYTES, b"\n")).public == ALICE.public
    with pytest.raises(SignatureError, match="over 16384 bytes"):
        parse_private(pem.ljust(MAX_KEY_BYTES + 1, b"\n"))


def _openssh(key: PublicKey) -> str:
    loaded: Any = serialization.load_der_public_key(key.der)
    line: bytes = loaded.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return line.decode()


def test_ssh_signatures_of_exactly_the_bound_are_read() -> None:
    text = armoured()
    assert parse_ssh_signature(text.ljust(MAX_KEY_BYTES)).namespace == b"safe-remote-code"
    with pytest.raises(SignatureError, match="larger than"):
        parse_ssh_signature(text.ljust(MAX_KEY_BYTES + 1))


def test_a_signature_file_of_exactly_the_bound_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lockfile, digest = tmp_path / "remote-code.lock", "sha256:" + "1" * 64
    write_file(tmp_path / "remote-code.signatures" / ("1" * 32) / "a.json", b"x" * 10)
    monkeypatch.setattr(store, "MAX_ENVELOPE_BYTES", 10)
    assert [item.data for item in read_signatures(lockfile, digest)] == [b"x" * 10]
    monkeypatch.setattr(store, "MAX_ENVELOPE_BYTES", 9)
    with pytest.raises(SignatureError, match=r"a\.json: larger than 9 bytes$"):
        read_signatures(lockfile, digest)


def test_a_memory_of_exactly_the_bound_is_read(tmp_path: Path) -> None:
    text = b'{"format":1,"seen":{"a":1},"time":"2026-01-01T00:00:00Z"}'
    (tmp_path / "m").write_bytes(text.ljust(MAX_DOCUMENT_BYTES))
    assert recall(tmp_path / "m").numbers == {"a": 1}
    (tmp_path / "m").write_bytes(text.ljust(MAX_DOCUMENT_BYTES + 1))
    with pytest.raises(RemoteCodeError, match="larger than"):
        recall(tmp_path / "m")


@final
class _Counting(io.BytesIO):
    """A file that remembers how much was asked of it."""

    asked: list[int | None]

    def read(self, size: int | None = -1) -> bytes:
        self.asked.append(size)
        return super().read(size)


@pytest.mark.parametrize(("act", "bound"), [
    (lambda folder: key_files.load_private(folder / "k"), MAX_KEY_BYTES),
    (lambda folder: key_files.load_public(folder / "k"), MAX_KEY_BYTES),
    (lambda folder: key_files.is_encrypted(folder / "k"), MAX_KEY_BYTES),
    (lambda folder: read_signatures(folder / "x.lock", "sha256:1"), MAX_ENVELOPE_BYTES),
    (lambda folder: recall(folder / "k"), MAX_DOCUMENT_BYTES),
], ids=["private key", "public key", "encryption", "signature", "memory"])  # fmt: skip
def test_one_byte_more_than_the_bound_is_asked_of_a_file_and_no_more(
    act: Callable[[Path], object], bound: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its size is: enough to see that it is too large."""
    counting = _Counting(b"x")
    counting.asked = []
    for place in (tmp_path / "k", tmp_path / "x.signatures" / "1" / "a.json"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"x")
        place.chmod(0o600)
    monkeypatch.setattr(os, "fdopen", lambda *_args, **_kwargs: counting)
    monkeypatch.setattr(Path, "open", lambda *_args, **_kwargs: counting)
    try:
        act(tmp_path)
    except RemoteCodeError:
        pass  # `x` is no key and no memory
    assert counting.asked == [bound + 1]


# --- counts ---------------------------------------------------------------------------------------


def _padded(count: int) -> bytes:
    value = json.loads(dsse.sign(b"{}", PAYLOAD_TYPE, [ALICE]))
    value["signatures"] = [{"sig": ""}] * (count - 1) + value["signatures"]
    return json.dumps(value).encode()


def test_the_last_signature_that_is_looked_at_counts() -> None:
    assert dsse.verify(_padded(32), PAYLOAD_TYPE, [ALICE.public]).key_ids == {ALICE.public.key_id}
    with pytest.raises(SignatureError, match="1 to 32 signatures, not 33"):
        dsse.verify(_padded(33), PAYLOAD_TYPE, [ALICE.public])


def test_as_many_files_as_there_may_be_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "x.signatures" / "1"
    folder.mkdir(parents=True)
    for number in range(MAX_SIGNATURE_FILES):
        (folder / f"{number}.json").touch()
    (folder / ".hidden.json").touch()
    assert len(read_signatures(tmp_path / "x.lock", "sha256:1")) == MAX_SIGNATURE_FILES
    (folder / "more.json").touch()
    with pytest.raises(SignatureError, match="more than 64 files"):
        read_signatures(tmp_path / "x.lock", "sha256:1")


@pytest.mark.parametrize(("bits", "good"), [(2047, False), (2048, True), (8192, True), (8193, False)])
def test_rsa_keys_have_a_least_and_a_greatest_size(bits: int, good: bool) -> None:
    key = rsa.RSAPublicNumbers(65537, (1 << bits - 1) + 1).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert key.key_size == bits
    if good:
        assert PublicKey(der).algorithm == "rsa"
        return
    with pytest.raises(SignatureError, match="not accepted"):
        PublicKey(der)


# --- seconds --------------------------------------------------------------------------------------


def test_a_rotation_may_come_from_a_clock_that_goes_before() -> None:
    old = KeySet(keys=frozenset([ALICE.public]), threshold=1)
    new = KeySet(keys=frozenset([BOB.public]), threshold=1, number=1)

    def current(issued: datetime, expires: datetime = NOW + DAY) -> KeySet:
        envelope = dsse.sign(rotation_payload("our-org", old, new, issued, expires), PAYLOAD_TYPE, [ALICE, BOB])
        return current_keys(rule([ALICE.public]), [envelope], frozenset(), NOW)

    assert current(NOW + CLOCK_SKEW) == current(NOW - DAY, NOW + SECOND) == new
    for times in ((NOW + CLOCK_SKEW + SECOND,), (NOW - DAY, NOW)):
        with pytest.raises(SignatureError):
            current(*times)
    assert current_keys(rule([ALICE.public], expires=NOW + SECOND), [], frozenset(), NOW) == old


def test_rotations_are_numbered_one_by_one() -> None:
    keys = frozenset([ALICE.public])
    for number in (-1, 0, 2):
        with pytest.raises(ValueError, match="^rotations are numbered without gaps$"):
            rotation_payload("r", KeySet(keys=keys, threshold=1), KeySet(keys=keys, threshold=1, number=number), NOW, NOW + DAY)


def test_the_clock_may_go_back_by_as_much_as_clocks_differ() -> None:
    seen = Seen(time=NOW)
    seen.check_clock(NOW - CLOCK_SKEW)
    with pytest.raises(SignatureError, match="was seen before"):
        seen.check_clock(NOW - CLOCK_SKEW - SECOND)


def test_the_time_is_noted_once_an_hour(tmp_path: Path) -> None:
    remember(tmp_path / "m", {"a": 1}, NOW)
    for later, noted in ((timedelta(hours=1) - SECOND, NOW), (timedelta(hours=1), NOW + timedelta(hours=1))):
        remember(tmp_path / "m", {"a": 1}, NOW + later)
        assert recall(tmp_path / "m").time == noted


def test_an_approval_holds_for_the_second_before_it_expires() -> None:
    assert approval(issued=NOW, expires=NOW + SECOND).expires == NOW + SECOND
    with pytest.raises(SignatureError, match="before it was issued"):
        approval(issued=NOW, expires=NOW)


def test_times_do_not_depend_on_where_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        for zone in ("Asia/Tokyo", "JST-9", "EST5", "UTC"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            assert format_time(NOW) == "2026-11-23T12:00:00Z"
            assert parse_time("2026-11-23T12:00:00Z", "x") == NOW
    finally:
        monkeypatch.undo()
        time.tzset()


def test_times_are_of_one_zone_and_whole_seconds() -> None:
    east = datetime(2026, 11, 23, 13, 0, 0, 999_999, timezone(timedelta(hours=1)))
    assert format_time(east) == format_time(NOW) == "2026-11-23T12:00:00Z"
    assert parse_time("2026-11-23T12:00:00Z", "x") == NOW
    with pytest.raises(ValueError, match="^a point in time has a zone$"):
        format_time(NOW.replace(tzinfo=None))
    for text in ("", "2026-11-23", "2026-11-23T12:00:00", "2026-11-23T12:00:00z", " 2026-11-23T12:00:00Z", "0026-11-23T12:00:60Z", "2026-11-23 12:00:00Z"):
        with pytest.raises(SignatureError, match="not a time like"):
            parse_time(text, "x")
    assert parse_time("0026-11-23T12:00:00Z", "x").year == 26


# --- JSON and base64 ------------------------------------------------------------------------------


def test_canonical_bytes_have_one_spelling() -> None:
    assert strict_json.write_object({"b": [1, "é", {}], "a": None}) == '{"a":null,"b":[1,"é",{}]}'.encode()
    for value in (1.5, [0.0], float("nan"), float("inf"), "\ud800"):
        with pytest.raises(ValueError):
            strict_json.write_object({"a": value})


@pytest.mark.parametrize("text", ["AA==", "AAA=", "AAAA", ""])
def test_base64_of_each_length_is_read(text: str) -> None:
    data = strict_json.from_base64(text, "x")
    assert (set(data) <= {0}, strict_json.to_base64(data)) == (True, text)


@pytest.mark.parametrize("text", ["A", "AA", "AA=", "AAA", "AB==", "AAB=", "AA==AA==", "A-_=", "AA==\n", "=", "====", "ＡＡ=="])
def test_base64_of_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(SignatureError, match=r"^\[signature\] x: (not base64|base64 that is not in its canonical spelling)$"):
        strict_json.from_base64(text, "x")


def test_values_are_of_the_kind_that_is_asked_for() -> None:
    value: dict[str, object] = {"text": "t", "integer": 7, "object": {"a": 1}, "list": ["a", "b"], "flag": True, "mixed": ["a", 1], "null": None}
    readers: dict[str, Callable[[dict[str, object], str, str], object]] = {
        "text": strict_json.text_of, "integer": strict_json.integer_of, "object": strict_json.object_of,
        "list": strict_json.list_of, "texts": strict_json.texts_of,
    }  # fmt: skip
    good = {("text", "text"), ("integer", "integer"), ("object", "object"), ("list", "list"), ("list", "mixed"), ("texts", "list")}
    for kind, reader in readers.items():
        for key in [*value, "absent"]:
            if (kind, key) in good:
                assert reader(value, key, "x") == (("a", "b") if kind == "texts" else value[key])
                continue
            with pytest.raises(SignatureError, match=rf"^\[signature\] x: '{key}' must (be|hold) "):
                reader(value, key, "x")
    strict_json.only_keys({"a": 1}, frozenset("ab"), "x")
    with pytest.raises(SignatureError, match=r"^\[signature\] x: unknown key 'c'$"):
        strict_json.only_keys({"a": 1, "d": 1, "c": 1}, frozenset("ab"), "x")


def test_size_of_statements_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = approval().payload()
    monkeypatch.setattr(statements, "MAX_ENVELOPE_BYTES", len(payload))
    statements.parse_statement(payload, "urn:safe-remote-code:approval:1")
    monkeypatch.setattr(statements, "MAX_ENVELOPE_BYTES", len(payload) - 1)
    with pytest.raises(SignatureError, match="larger than"):
        statements.parse_statement(payload, "urn:safe-remote-code:approval:1")


def test_a_statement_comes_back_whole() -> None:
    payload = approval().payload()
    statement = statements.parse_statement(payload, "urn:safe-remote-code:approval:1")
    assert (statement.predicate_type, statement.payload()) == ("urn:safe-remote-code:approval:1", payload)


def test_the_key_that_is_made_without_a_word_is_ed25519() -> None:
    assert generate().public.algorithm == "ed25519"
    with pytest.raises(ValueError, match="^unknown algorithm 'rsa'; known: ed25519, ecdsa-p256, ecdsa-p384, ecdsa-p521$"):
        generate("rsa")
