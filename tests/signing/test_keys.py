"""Keys: accepted algorithms only, one encoding each, and files that only their owner reads."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from safe_remote_code.errors import DocumentError, SignatureError
from safe_remote_code.signing import key_files
from safe_remote_code.signing.keys import (
    GENERATED,
    PrivateKey,
    PublicKey,
    check_strict_ecdsa,
    generate,
    parse_private,
    parse_public,
)

P256 = generate("ecdsa-p256")
ED = generate()
DATA = b"content"
#: n of P-256 (SP 800-186).
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def _pem(key: Any) -> str:
    return key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo).decode()


def _line(key: PrivateKey) -> str:
    """The public half as OpenSSH writes it."""
    loaded: Any = s.load_der_public_key(key.public.der)
    line: bytes = loaded.public_bytes(s.Encoding.OpenSSH, s.PublicFormat.OpenSSH)
    return line.decode()


def _ed25519_der(raw: bytes) -> bytes:
    return bytes.fromhex("302a300506032b6570032100") + raw


@pytest.mark.parametrize("algorithm", GENERATED)
def test_a_pair_survives_its_files(algorithm: str, tmp_path: Path) -> None:
    key = generate(algorithm)
    public = key_files.write_pair(key, tmp_path / "k", b"secret")
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in (tmp_path / "k").read_bytes()
    assert key_files.load_private(tmp_path / "k", b"secret").public == key_files.load_public(public) == key.public
    assert (key.public.algorithm, len(key.public.key_id)) == (algorithm, 64)


def test_a_wrong_or_missing_password_is_refused(tmp_path: Path) -> None:
    key_files.write_pair(ED, tmp_path / "k", b"secret")
    assert key_files.is_encrypted(tmp_path / "k")
    for password in (None, b"", b"other"):
        with pytest.raises(SignatureError, match="password"):
            key_files.load_private(tmp_path / "k", password)


def test_an_empty_password_is_none_that_encrypts(tmp_path: Path) -> None:
    """And no reason to write the key in the clear."""
    with pytest.raises(ValueError):
        key_files.write_pair(ED, tmp_path / "k", b"")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o666])
def test_a_private_key_that_others_can_read_is_refused(mode: int, tmp_path: Path) -> None:
    key_files.write_pair(ED, tmp_path / "k", None)
    os.chmod(tmp_path / "k", mode)
    with pytest.raises(DocumentError, match="others than its owner"):
        key_files.load_private(tmp_path / "k")


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_a_private_key_is_written_for_its_owner_alone(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        public = key_files.write_pair(ED, tmp_path / "k", None)
    finally:
        os.umask(before)
    assert ((tmp_path / "k").stat().st_mode & 0o777, public.stat().st_mode & 0o777) == (0o600, 0o644 & ~umask)


#: Owner of the file, who reads it; whether it is taken.
OWNERS = {"one's own": (1000, 1000, True), "root's": (0, 1000, True), "another's": (1001, 1000, False), "another's, read by root": (1, 0, False)}


@pytest.mark.parametrize("case", OWNERS)
def test_a_private_key_of_another_user_is_refused(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns the file can exchange it."""
    owner, reader, good = OWNERS[case]
    key_files.write_pair(ED, tmp_path / "k", None)
    status, fstat = list(os.stat(tmp_path / "k")), os.fstat
    status[4] = owner
    monkeypatch.setattr(key_files.os, "geteuid", lambda: reader)
    monkeypatch.setattr(key_files.os, "fstat", lambda descriptor: os.stat_result(status) if fstat(descriptor).st_ino == status[1] else fstat(descriptor))
    if good:
        assert key_files.load_private(tmp_path / "k").public == ED.public
        return
    with pytest.raises(DocumentError) as refused:
        key_files.load_private(tmp_path / "k")
    assert str(refused.value) == f"[document] {tmp_path}/k: this private key belongs to another user\n  To continue: use a key of yours"


def test_a_password_is_asked_for_where_one_is_needed(tmp_path: Path) -> None:
    """PKCS #8, and the older form that OpenSSL writes."""
    forms = {s.PrivateFormat.PKCS8: b"BEGIN ENCRYPTED PRIVATE KEY", s.PrivateFormat.TraditionalOpenSSL: b"Proc-Type: 4,ENCRYPTED"}
    key = ec.generate_private_key(ec.SECP256R1())
    for form, sign in forms.items():
        for encryption in (s.NoEncryption(), s.BestAvailableEncryption(b"secret")):
            encrypted = not isinstance(encryption, s.NoEncryption)
            data = key.private_bytes(s.Encoding.PEM, form, encryption)
            (tmp_path / "k").write_bytes(data)
            (tmp_path / "k").chmod(0o600)
            assert (sign in data) is key_files.is_encrypted(tmp_path / "k") is encrypted
            assert key_files.load_private(tmp_path / "k", b"secret" if encrypted else None).public == parse_public(_pem(key))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    for name in ("k", "k.pub"):
        folder = tmp_path / name.replace(".", "")
        folder.mkdir()
        (folder / name).write_text("mine")
        with pytest.raises(DocumentError, match="exists already"):
            key_files.write_pair(ED, folder / "k", None)
        assert (folder / name).read_text() == "mine"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe", tmp_path / "absent"):
        with pytest.raises(DocumentError):
            key_files.load_private(place)


FOREIGN = {
    "secp256k1": ec.generate_private_key(ec.SECP256K1()),
    "P-224": ec.generate_private_key(ec.SECP224R1()),
    "brainpool": ec.generate_private_key(ec.BrainpoolP256R1()),
    "Ed448": ed448.Ed448PrivateKey.generate(),
    "DSA": dsa.generate_private_key(1024),
    "RSA of 1024 bits": rsa.generate_private_key(65537, 1024),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_other_algorithms_are_refused(case: str) -> None:
    with pytest.raises(SignatureError):
        parse_public(_pem(FOREIGN[case]))
    private = FOREIGN[case].private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    with pytest.raises(SignatureError):
        parse_private(private)


NOT_KEYS = {
    "nothing": "",
    "text": "hello",
    "a private key": ED.pem(None).decode(),
    "two keys": ED.public.pem + P256.public.pem,
    "two keys of which one is private": ED.public.pem + P256.pem(None).decode(),
    "two lines": "ssh-ed25519 AAAA\nssh-ed25519 AAAA",
    "two SSH keys": f"{_line(ED)}\n{_line(P256)}",
    "an SSH key and a comment": f"{_line(ED)}\n# alice",
    "a certificate's label": ED.public.pem.replace("PUBLIC KEY", "CERTIFICATE"),
    "too large": "ssh-rsa " + "A" * 100_000,
    "options before an SSH key": 'command="x" ' + _line(ED),
}


@pytest.mark.parametrize("case", NOT_KEYS)
def test_what_is_no_public_key_is_refused(case: str) -> None:
    with pytest.raises(SignatureError):
        parse_public(NOT_KEYS[case])


#: Curve25519's points of small order, y below the field prime, with both signs, and encodings above the prime.
WEAK = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


@pytest.mark.parametrize("raw", WEAK)
def test_ed25519_keys_that_bind_nobody_are_refused(raw: str) -> None:
    with pytest.raises(SignatureError):
        PublicKey(_ed25519_der(bytes.fromhex(raw)))


def test_the_identity_point_would_have_verified_anything() -> None:
    """Why the list above is there: R = S = neutral element is a signature of every message under such a key."""
    key = ed25519.Ed25519PublicKey.from_public_bytes(bytes([1]) + bytes(31))
    key.verify(bytes([1]) + bytes(63), b"any message at all")


def test_der_with_trailing_or_altered_bytes_is_refused() -> None:
    der = P256.public.der
    for bad in (der + b"\0", der[:-1], b"", der[:26] + b"\x06" + der[27:], der[:-1] + bytes([der[-1] ^ 1])):
        with pytest.raises(SignatureError):
            PublicKey(bad)


def _integer(value: int, pad: bytes = b"") -> bytes:
    body = pad + value.to_bytes((value.bit_length() + 8) // 8, "big")
    return b"\x02" + bytes([len(body)]) + body


def _sequence(body: bytes, long: bool = False) -> bytes:
    return b"\x30" + (b"\x81" if long else b"") + bytes([len(body)]) + body


R, S = decode_dss_signature(P256.sign(DATA))
ECDSA = {
    "a length in the long form": _sequence(_integer(R) + _integer(S), long=True),
    "r padded with a zero": _sequence(_integer(R, b"\0") + _integer(S)),
    "s padded with a zero": _sequence(_integer(R) + _integer(S, b"\0")),
    "a byte behind it": encode_dss_signature(R, S) + b"\0",
    "a byte inside, behind s": _sequence(_integer(R) + _integer(S) + b"\0"),
    "indefinite length": b"\x30\x80" + _integer(R) + _integer(S) + b"\0\0",
    "r = 0": encode_dss_signature(0, S),
    "s = 0": encode_dss_signature(R, 0),
    "both zero": encode_dss_signature(0, 0),
    "r + n": encode_dss_signature(R + ORDER, S),
    "s + n": encode_dss_signature(R, S + ORDER),
    "r = n, s = n": encode_dss_signature(ORDER, ORDER),
    "r negative": _sequence(b"\x02\x01\xff" + _integer(S)),
    "raw r and s (IEEE P1363)": R.to_bytes(32, "big") + S.to_bytes(32, "big"),
    "r and s exchanged": encode_dss_signature(S, R),
    "cut off": encode_dss_signature(R, S)[:-1],
    "empty": b"",
    "an empty sequence": b"\x30\x00",
    "a huge integer": _sequence(b"\x02\x7f" + b"\x7f" * 0x7D),
}


@pytest.mark.parametrize("case", ECDSA)
def test_ecdsa_signatures_have_one_encoding(case: str) -> None:
    with pytest.raises(SignatureError):
        P256.public.check(ECDSA[case], DATA)
    P256.public.check(encode_dss_signature(R, S), DATA)


@pytest.mark.parametrize("case", [case for case in ECDSA if case not in ("r + n", "s + n", "r = n, s = n", "r and s exchanged")])
def test_what_is_not_strict_der_is_no_signature_of_anything(case: str) -> None:
    """Before any arithmetic, which would refuse most of it too."""
    with pytest.raises(SignatureError, match="not strict DER"):
        check_strict_ecdsa(ECDSA[case])


def test_the_smallest_integers_are_strict_der() -> None:
    check_strict_ecdsa(encode_dss_signature(1, 1))


def test_ed25519_signatures_are_not_malleable() -> None:
    """S + L is the classic second signature (RFC 8032, section 5.1.7, demands S < L)."""
    order = 2**252 + 27742317777372353535851937790883648493
    good = ED.sign(DATA)
    s_value = int.from_bytes(good[32:], "little")
    for bad in (good[:32] + (s_value + order).to_bytes(32, "little"), good + b"\0", good[:-1], b"", bytes(64)):
        with pytest.raises(SignatureError):
            ED.public.check(bad, DATA)
    ED.public.check(good, DATA)


@pytest.mark.parametrize("signer", GENERATED)
@pytest.mark.parametrize("verifier", GENERATED)
def test_the_key_chooses_the_algorithm_and_not_the_signature(signer: str, verifier: str) -> None:
    signature = generate(signer).sign(DATA)
    with pytest.raises(SignatureError):
        generate(verifier).public.check(signature, DATA)


def test_the_hash_belongs_to_the_curve() -> None:
    from cryptography.hazmat.primitives import hashes

    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(SignatureError):
        parse_public(_pem(key)).check(key.sign(DATA, ec.ECDSA(hashes.SHA512())), DATA)
    parse_public(_pem(key)).check(key.sign(DATA, ec.ECDSA(hashes.SHA256())), DATA)


def test_a_private_key_is_not_copied_printed_or_pickled() -> None:
    assert "PRIVATE" not in repr(ED) and ED.pem(None).decode() not in repr(ED)
    for act in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            act(ED)  # type: ignore[operator]
