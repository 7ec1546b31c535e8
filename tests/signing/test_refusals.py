"""What each refusal says: whom it is about, what is wrong, and what to do, word for word.

A person reads these lines, and scripts look for them; `…` stands for what differs from run to run, or is another
library's text. Which cases are refused at all is for the tests of each module to say.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from safe_remote_code.errors import RemoteCodeError
from safe_remote_code.limits import MAX_ENVELOPE_BYTES, MAX_KEY_BYTES
from safe_remote_code.policy import load_policy
from safe_remote_code.signing import dsse, key_files, oms
from safe_remote_code.signing.approval import parse_approval
from safe_remote_code.signing.certificates import certified_key, parse_certificates
from safe_remote_code.signing.keys import PublicKey, generate, parse_private, parse_public
from safe_remote_code.signing.rotation import KeySet, current_keys, rotation_payload
from safe_remote_code.signing.ssh import parse_ssh_signature, verify_ssh
from safe_remote_code.signing.statements import PAYLOAD_TYPE, Statement
from safe_remote_code.signing.store import read_rotations, read_signatures, write_file
from safe_remote_code.signing.times import parse_time
from safe_remote_code.verify import memory
from safe_remote_code.verify.trust import judge_rule
from signing.approvals import ALICE, BOB, DAY, EVE, NOW, PACKAGE, SOURCE, approval, rule
from signing.chains import chain_bundle, party

KEY = generate("ecdsa-p256")
FILES = {"a.py": "1" * 64, "b.py": "2" * 64}
ROOT = party("root", ca=True)
LEAF = party("leaf", ROOT, email="signer@example.org")
Call = Callable[[Path], object]


def assert_says(call: Callable[[], object], expected: str) -> None:
    """`call` is refused with exactly `expected`; `…` is any text."""
    with pytest.raises(RemoteCodeError) as refused:
        call()
    pattern = ".*".join(map(re.escape, expected.split("…")))
    assert re.fullmatch(pattern, str(refused.value), re.DOTALL), str(refused.value)


# --- approvals and statements ---------------------------------------------------------------------


def _approval(path: tuple[Any, ...], value: object) -> Call:
    """An approval with one place of its statement set to `value`, or removed if that is None."""
    def call(_: Path) -> object:
        document: Any = json.loads(approval().payload())
        at = document
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
        if value is None:
            del at[path[-1]]
        return parse_approval(json.dumps(document).encode())

    return call


def _made(**changes: Any) -> Call:
    return lambda _: approval(**changes)


APPROVALS: dict[str, tuple[Call, str]] = {
    "a digest of another kind": (_made(digest="1" * 64), "[signature] approval: an approval names a digest and entry points"),
    "no entry points": (_made(entry_points=()), "[signature] approval: an approval names a digest and entry points"),
    "version 0": (_made(version=0), "[signature] approval: a version is between 1 and 2147483647"),
    "a version too high": (_made(version=2**31), "[signature] approval: a version is between 1 and 2147483647"),
    "expired when issued": (_made(issued=NOW, expires=NOW), "[signature] approval: expires before it was issued"),
    "unsorted entry points": (_made(entry_points=("b.B", "a.A")), "[signature] approval: entry points and capabilities are sorted, each once"),
    "unsorted capabilities": (_made(capabilities=("b", "a")), "[signature] approval: entry points and capabilities are sorted, each once"),
    "capabilities twice": (_made(capabilities=("a", "a")), "[signature] approval: entry points and capabilities are sorted, each once"),
    "an unknown key": (_approval(("predicate", "x"), 1), "[signature] approval: unknown key 'x'"),
    "two subjects": (_approval(("subject",), [{"name": n, "digest": {"sha256": "1" * 64}} for n in "ab"]), "[signature] approval: speaks of several packages"),
    "no commit": (_approval(("predicate", "commit"), None), "[signature] approval: 'commit' must be a string"),
    "no entryPoints": (_approval(("predicate", "entryPoints"), None), "[signature] approval: 'entryPoints' must be an array"),
    "entryPoints of numbers": (_approval(("predicate", "entryPoints"), [1]), "[signature] approval: 'entryPoints' must hold strings only"),
    "no capabilities": (_approval(("predicate", "capabilities"), None), "[signature] approval: 'capabilities' must be an array"),
    "no version": (_approval(("predicate", "version"), None), "[signature] approval: 'version' must be an integer"),
    "no issue": (_approval(("predicate", "issued"), None), "[signature] approval: 'issued' must be a string"),
    "no expiry": (_approval(("predicate", "expires"), None), "[signature] approval: 'expires' must be a string"),
    "issued at no time": (_approval(("predicate", "issued"), "x"), "[signature] approval: not a time like 2026-11-23T08:00:00Z: 'x'"),
    "expires at no time": (_approval(("predicate", "expires"), "x"), "[signature] approval: not a time like 2026-11-23T08:00:00Z: 'x'"),
    "not JSON": (lambda _: parse_approval(b"x"), "[signature] statement: not strict JSON: …"),
    "a list": (lambda _: parse_approval(b"[]"), "[signature] statement: not a JSON object"),
    "a key twice": (lambda _: parse_approval(b'{"a":1,"a":1}'), "[signature] statement: not strict JSON: a key is there twice"),
    "a fraction": (lambda _: parse_approval(b'{"a":1.5}'), "[signature] statement: not strict JSON: the number 1.5 is not an integer"),
    "too large": (lambda _: parse_approval(bytes(MAX_ENVELOPE_BYTES + 1)), f"[signature] statement: larger than {MAX_ENVELOPE_BYTES} bytes"),
    "another statement": (_approval(("_type",), "x"), "[signature] statement: not an in-toto statement of version 1"),
    "no statement type": (_approval(("_type",), None), "[signature] statement: '_type' must be a string"),
    "another predicate": (_approval(("predicateType",), "x"), "[signature] statement: says something else: 'x', not urn:safe-remote-code:approval:1"),
    "no predicate type": (_approval(("predicateType",), None), "[signature] statement: 'predicateType' must be a string"),
    "no predicate": (_approval(("predicate",), None), "[signature] statement: 'predicate' must be an object"),
    "an unknown key beside it": (_approval(("y",), 1), "[signature] statement: unknown key 'y'"),
    "no subject": (_approval(("subject",), None), "[signature] statement: 'subject' must be an array"),
    "a subject that is text": (_approval(("subject",), ["x"]), "[signature] statement: a subject must be an object"),
    "a subject without name": (_approval(("subject", 0, "name"), None), "[signature] statement: 'name' must be a string"),
    "a subject without digest": (_approval(("subject", 0, "digest"), None), "[signature] statement: 'digest' must be an object"),
    "a subject by another hash": (_approval(("subject", 0, "digest"), {}), "[signature] statement: 'sha256' must be a string"),
    "a subject twice": (_approval(("subject",), [{"name": "a", "digest": {"sha256": "1" * 64}}] * 2), "[signature] statement: 'a' is a subject twice"),
    "a subject of no name": (_approval(("subject", 0, "name"), ""), "[signature] statement: '': a subject has a name and a SHA-256"),
    "a short digest": (_approval(("subject", 0, "digest", "sha256"), "1" * 63), f"[signature] statement: '{SOURCE}': a subject has a name and a SHA-256"),
    "about nothing": (lambda _: Statement(subjects={}, predicate_type="x", predicate={}), "[signature] statement: speaks of nothing"),
    "not a time": (lambda _: parse_time("2026-11-23T08:00:00.5Z", "expires"), "[signature] expires: not a time like 2026-11-23T08:00:00Z: '2026-11-23T08:00:00.5Z'"),
}  # fmt: skip


@pytest.mark.parametrize("case", APPROVALS)
def test_of_approvals(case: str, tmp_path: Path) -> None:
    call, expected = APPROVALS[case]
    assert_says(lambda: call(tmp_path), expected)


# --- envelopes ------------------------------------------------------------------------------------


def _envelope(trusted: int = 1, threshold: int = 1, **changes: Any) -> Call:
    value = json.loads(dsse.sign(b"{}", PAYLOAD_TYPE, [ALICE])) | changes
    data = json.dumps({key: item for key, item in value.items() if item is not None}).encode()
    return lambda _: dsse.verify(data, PAYLOAD_TYPE, [ALICE.public, BOB.public][:trusted], threshold)


def _merged(**changes: Any) -> Call:
    one = dsse.sign(b"{}", PAYLOAD_TYPE, [ALICE])
    other = json.loads(one) | changes
    return lambda _: dsse.merge(one, json.dumps({key: item for key, item in other.items() if item is not None}).encode())


ENVELOPES: dict[str, tuple[Call, str]] = {
    "no key": (_envelope(0), "[signature] no key is trusted, so nothing can be verified"),
    "too few keys": (_envelope(1, 2), "[signature] 2 signatures are needed, but only 1 distinct keys are trusted"),
    "too few signatures": (_envelope(2, 2), "[signature] envelope: signed by 1 trusted keys of the 2 that are needed"),
    "another type": (_envelope(payloadType="x"), "[signature] envelope: not of type application/vnd.in-toto+json"),
    "no type": (_envelope(payloadType=None), "[signature] envelope: 'payloadType' must be a string"),
    "no payload": (_envelope(payload=None), "[signature] envelope: 'payload' must be a string"),
    "a payload that is not base64": (_envelope(payload="!"), "[signature] envelope: not base64"),
    "a payload in another spelling": (_envelope(payload="e31="), "[signature] envelope: base64 that is not in its canonical spelling"),
    "no signatures": (_envelope(signatures=None), "[signature] envelope: 'signatures' must be an array"),
    "an empty list": (_envelope(signatures=[]), "[signature] envelope: 1 to 32 signatures, not 0"),
    "too many": (_envelope(signatures=[{"sig": ""}] * 33), "[signature] envelope: 1 to 32 signatures, not 33"),
    "a signature that is text": (_envelope(signatures=["x"]), "[signature] envelope: a signature must be an object"),
    "a signature without content": (_envelope(signatures=[{}]), "[signature] envelope: 'sig' must be a string"),
    "a signature that is not base64": (_envelope(signatures=[{"sig": "é"}]), "[signature] envelope: not base64"),
    "not JSON": (lambda _: dsse.verify(b"x", PAYLOAD_TYPE, [ALICE.public]), "[signature] envelope: not strict JSON: …"),
    "not JSON, to be merged": (lambda _: dsse.merge(b"x", b"{}"), "[signature] envelope: not strict JSON: …"),
    "of two payloads": (_merged(payload="e30K"), "[signature] envelope: two envelopes differ in their payload"),
    "of two types": (_merged(payloadType="x"), "[signature] envelope: two envelopes differ in their payloadType"),
    "without payload, to be merged": (_merged(payload=None), "[signature] envelope: 'payload' must be a string"),
    "without anything, to be merged": (lambda _: dsse.merge(b"{}", b"{}"), "[signature] envelope: 'payload' must be a string"),
    "without signatures, to be merged": (_merged(signatures=None), "[signature] envelope: 'signatures' must be an array"),
}  # fmt: skip


@pytest.mark.parametrize("case", ENVELOPES)
def test_of_envelopes(case: str, tmp_path: Path) -> None:
    call, expected = ENVELOPES[case]
    assert_says(lambda: call(tmp_path), expected)


# --- keys and key files ---------------------------------------------------------------------------

RSA = rsa.generate_private_key(65537, 2048)
_PKCS8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
ED_DER = bytes.fromhex("302a300506032b6570032100")


def _file(content: bytes, mode: int = 0o600, act: Callable[[Path], object] = key_files.load_private) -> Call:
    def call(folder: Path) -> object:
        (folder / "k").write_bytes(content)
        os.chmod(folder / "k", mode)
        return act(folder / "k")

    return call


KEYS: dict[str, tuple[Call, str]] = {
    "an algorithm": (lambda _: PublicKey(RSA.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)) and parse_private(RSA.private_bytes(*_PKCS8)), "[signature] this kind of key cannot sign here\n  To continue: use Ed25519 or ECDSA; see keygen"),
    "a size": (lambda _: PublicKey(rsa.generate_private_key(65537, 1024).public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)), "[signature] a key of an algorithm, curve or size that is not accepted\n  To continue: use Ed25519, ECDSA P-256, P-384 or P-521, or RSA of 2048 bits and more"),
    "an encoding": (lambda _: PublicKey(ED_DER + b"\xff" * 32), "[signature] an Ed25519 key that is not in its canonical encoding"),
    "a small order": (lambda _: PublicKey(ED_DER + bytes(32)), "[signature] an Ed25519 key of small order, for which anybody can sign"),
    "no DER": (lambda _: PublicKey(b"x"), "[signature] not a public key: …"),
    "another content": (lambda _: ALICE.public.check(ALICE.sign(b"a"), b"b"), f"[signature] {ALICE.public.key_id}: not a signature of this content by this key"),
    "loose DER": (lambda _: BOB.public.check(b"x", b"b"), "[signature] an ECDSA signature that is not strict DER"),
    "too long a public key": (lambda _: parse_public("x" * (MAX_KEY_BYTES + 1)), "[signature] a key file of over 16384 bytes"),
    "several public keys": (lambda _: parse_public(ALICE.public.pem * 2), "[signature] several keys in one text; a threshold counts keys, so each has its own entry"),
    "no public key": (lambda _: parse_public("x"), "[signature] neither a PEM public key nor an OpenSSH one\n  To continue: give the .pub file that keygen or ssh-keygen wrote"),
    "a broken public key": (lambda _: parse_public("ssh-ed25519 AAAA"), "[signature] not a public key: …"),
    "too long a private key": (lambda _: parse_private(bytes(MAX_KEY_BYTES + 1)), "[signature] a key file of over 16384 bytes"),
    "no password": (lambda _: parse_private(ALICE.pem(b"x")), "[signature] the key is encrypted: a password is needed"),
    "a password too many": (lambda _: parse_private(ALICE.pem(None), b"x"), "[signature] the key has no password"),
    "a wrong password": (lambda _: parse_private(ALICE.pem(b"x"), b"y"), "[signature] not a private key in PEM, or the password is wrong"),
    "no private key file": (_file(b"x"), "[signature] {tmp}/k: not a private key in PEM, or the password is wrong"),
    "a kind of private key": (_file(RSA.private_bytes(*_PKCS8)), "[signature] {tmp}/k: this kind of key cannot sign here\n  To continue: use Ed25519 or ECDSA; see keygen"),
    "no public key file": (_file(b"x", act=key_files.load_public), "[signature] {tmp}/k: neither a PEM public key nor an OpenSSH one\n  To continue: give the .pub file that keygen or ssh-keygen wrote"),
    "a public key file that is no text": (_file(b"\xff", act=key_files.load_public), "[signature] {tmp}/k: neither a PEM public key nor an OpenSSH one\n  To continue: give the .pub file that keygen or ssh-keygen wrote"),
    "an open private key": (_file(ALICE.pem(None), 0o640), "[document] {tmp}/k: others than its owner can read this private key\n  To continue: chmod 600 {tmp}/k"),
    "no file": (lambda tmp: key_files.load_public(tmp / "k"), "[document] {tmp}/k: cannot be read: No such file or directory"),
    "a folder": (lambda tmp: key_files.is_encrypted(tmp), "[document] {tmp}: not a regular file"),
    "a public key in the way": (lambda tmp: ((tmp / "k.pub").touch(), key_files.write_pair(ALICE, tmp / "k", None)), "[document] {tmp}/k.pub: exists already\n  To continue: choose another name"),
    "a private key in the way": (lambda tmp: ((tmp / "k").touch(), key_files.write_pair(ALICE, tmp / "k", None)), "[document] {tmp}/k: exists already\n  To continue: choose another name"),
    "a folder that is not there": (lambda tmp: key_files.write_pair(ALICE, tmp / "x" / "k", None), "[document] {tmp}/x/k: cannot be written: No such file or directory"),
}  # fmt: skip


@pytest.mark.parametrize("case", KEYS)
def test_of_keys(case: str, tmp_path: Path) -> None:
    call, expected = KEYS[case]
    assert_says(lambda: call(tmp_path), expected.replace("{tmp}", str(tmp_path)))


# --- SSH signatures -------------------------------------------------------------------------------


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _wire(key: PublicKey) -> bytes:
    loaded: Any = serialization.load_der_public_key(key.der)
    line = loaded.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return base64.b64decode(line.split()[1])


def armoured(
    *, magic: bytes = b"SSHSIG", version: int = 1, namespace: bytes = b"safe-remote-code", reserved: bytes = b"",
    hash_name: bytes = b"sha512", algorithm: bytes = b"ssh-ed25519", behind: bytes = b"", key: PublicKey = ALICE.public,
    blob: bytes = bytes(64), inside: bytes = b"",
) -> str:  # fmt: skip
    """An SSH signature, put together by hand."""
    inner = _string(algorithm) + _string(blob) + inside
    parts = (_wire(key), namespace, reserved, hash_name, inner)
    data = magic + version.to_bytes(4, "big") + b"".join(map(_string, parts)) + behind
    return f"-----BEGIN SSH SIGNATURE-----\n{base64.b64encode(data).decode()}\n-----END SSH SIGNATURE-----\n"


def _ssh(**changes: Any) -> Call:
    return lambda _: verify_ssh(armoured(**changes), b"x", [ALICE.public, BOB.public])


_WHO = "[signature] SSH signature: "
SSH: dict[str, tuple[Call, str]] = {
    "another magic": (_ssh(magic=b"SSHSIX"), _WHO + "not an SSH signature of version 1"),
    "another version": (_ssh(version=2), _WHO + "not an SSH signature of version 1"),
    "something reserved": (_ssh(reserved=b"x"), _WHO + "an extension or a hash that is not known"),
    "another hash": (_ssh(hash_name=b"md5"), _WHO + "an extension or a hash that is not known"),
    "bytes behind": (_ssh(behind=b"x"), _WHO + "bytes behind the end"),
    "bytes inside": (_ssh(inside=b"x"), _WHO + "bytes behind the end"),
    "another namespace": (_ssh(namespace=b"git"), _WHO + "made for b'git', not for 'safe-remote-code'\n  To continue: sign with ssh-keygen -Y sign -n safe-remote-code"),
    "a stranger": (_ssh(key=EVE.public), _WHO + "by a key that is not trusted"),
    "another algorithm": (_ssh(algorithm=b"ssh-rsa"), _WHO + "an algorithm that is not the one of its key"),
    "a cut": (lambda _: parse_ssh_signature("-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----"), _WHO + "cut off"),
    "no base64": (lambda _: parse_ssh_signature("-----BEGIN SSH SIGNATURE-----\n!\n-----END SSH SIGNATURE-----"), _WHO + "not base64"),
    "no armour": (lambda _: parse_ssh_signature("x"), _WHO + "not in its armour of BEGIN and END lines"),
    "too large": (lambda _: parse_ssh_signature("x" * 16385), _WHO + "larger than 16384 bytes"),
    "an integer": (_ssh(key=BOB.public, algorithm=b"ecdsa-sha2-nistp256", blob=_string(b"") * 2), _WHO + "an integer that is not positive, or not in its one spelling"),
    "nothing that was signed": (_ssh(), f"[signature] {ALICE.public.key_id}: not a signature of this content by this key"),
}  # fmt: skip


@pytest.mark.parametrize("case", SSH)
def test_of_ssh_signatures(case: str, tmp_path: Path) -> None:
    call, expected = SSH[case]
    assert_says(lambda: call(tmp_path), expected)


# --- certificates and model signatures ------------------------------------------------------------


def _certified(*chain: bytes, identity: str = "signer@example.org", now: datetime = NOW) -> Call:
    return lambda _: certified_key(chain, [ROOT.certificate], identity, now)


def _extended(extra: Any) -> bytes:
    return party("leaf", ROOT, email="signer@example.org", extra=extra).der


_NO_ROOT = "[signature] certificate: does not chain to a given root: …{why}…\n  To continue: give its root with --certificate-root"
ISSUER = party("issuer", ROOT, ca=True, usage=False)
NARROW = party("issuer", ROOT, ca=True, extra=x509.NameConstraints([x509.DNSName("example.org")], None))
CERTIFICATES: dict[str, tuple[Call, str]] = {
    "no PEM": (lambda _: parse_certificates(b"x"), "[signature] certificate: not certificates in PEM: …"),
    "no certificate": (_certified(), "[signature] certificate: 1 to 16 certificates, not 0"),
    "too many": (_certified(*[LEAF.der] * 17), "[signature] certificate: 1 to 16 certificates, not 17"),
    "no DER": (_certified(b"x"), "[signature] certificate: malformed: …"),
    "another identity": (_certified(LEAF.der, identity="eve@example.org"), "[signature] certificate: of leaf, sha256:…, signer@example.org, not of 'eve@example.org'"),
    "another root": (_certified(party("leaf").der), _NO_ROOT.format(why="")),
    "expired": (_certified(party("leaf", ROOT, end=timedelta(0)).der), "[signature] certificate: expired or not yet valid, or one of its issuers is"),
    "not for signatures": (_certified(party("leaf", ROOT, usage=False).der), _NO_ROOT.format(why="the certificate is not for signatures")),
    "for servers": (_certified(_extended(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]))), _NO_ROOT.format(why="the certificate is for other purposes than signing code")),
    "an authority's": (_certified(party("leaf", ROOT, constraints=True).der), _NO_ROOT.format(why="the signing certificate is an authority's")),
    "by an issuer that may not": (_certified(party("leaf", ISSUER).der, ISSUER.der), _NO_ROOT.format(why="an issuer may not sign certificates")),
    "a critical extension that nobody knows": (_certified(_extended(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"))), _NO_ROOT.format(why="1.2.3.4")),
    "a critical extension that only the library knows": (_certified(party("leaf", NARROW).der, NARROW.der), "[signature] certificate: a critical extension that is not judged here: 2.5.29.30"),
    "another key": (lambda _: oms.make_bundle("model", FILES, (), KEY, (LEAF.certificate,)), "[signature] certificate: the first certificate is of another key\n  To continue: give the certificate of the signing key first, then its issuers"),
}  # fmt: skip


@pytest.mark.parametrize("case", CERTIFICATES)
def test_of_certificates(case: str, tmp_path: Path) -> None:
    call, expected = CERTIFICATES[case]
    assert_says(lambda: call(tmp_path), expected)


def _bundle(edit: Callable[[Any], object], trusted: Any = KEY.public, data: bytes | None = None) -> Call:
    """A bundle with something of it edited."""
    value = json.loads(data or oms.make_bundle("model", FILES, (), KEY))
    edit(value)
    return lambda _: oms.verify_bundle(json.dumps(value).encode(), trusted)


def _payload(edit: Callable[[Any], object]) -> Call:
    """A bundle with something of its statement edited, and signed again."""
    def act(value: Any) -> None:
        statement = json.loads(base64.b64decode(value["dsseEnvelope"]["payload"]))
        edit(statement)
        edited = json.loads(dsse.sign(json.dumps(statement).encode(), PAYLOAD_TYPE, [KEY]))
        value["dsseEnvelope"] = edited

    return _bundle(act)


def _chain(edit: Callable[[Any], object]) -> Call:
    trust = oms.CertificateTrust(roots=(ROOT.certificate,), identity="signer@example.org", now=NOW)
    return _bundle(lambda value: edit(value["verificationMaterial"]), trust, chain_bundle(FILES, LEAF))


_MODEL = "[signature] model signature: "
MODELS: dict[str, tuple[Call, str]] = {
    "not JSON": (lambda _: oms.verify_bundle(b"x", KEY.public), _MODEL + "not strict JSON: …"),
    "an unknown key": (_bundle(lambda v: v.update(x=1)), _MODEL + "unknown key 'x'"),
    "another type": (_bundle(lambda v: v.update(mediaType="x")), _MODEL + "not of type application/vnd.dev.sigstore.bundle.v0.3+json"),
    "no type": (_bundle(lambda v: v.pop("mediaType")), _MODEL + "'mediaType' must be a string"),
    "no material": (_bundle(lambda v: v.pop("verificationMaterial")), _MODEL + "'verificationMaterial' must be an object"),
    "another kind of key": (_bundle(lambda v: v["verificationMaterial"].update(publicKey={}), ALICE.public), _MODEL + "model signatures are made with ECDSA, not ed25519"),
    "no envelope": (_bundle(lambda v: v.pop("dsseEnvelope")), _MODEL + "'dsseEnvelope' must be an object"),
    "an unknown key of the envelope": (_bundle(lambda v: v["dsseEnvelope"].update(x=1)), _MODEL + "unknown key 'x'"),
    "no signatures": (_bundle(lambda v: v["dsseEnvelope"].pop("signatures")), _MODEL + "'signatures' must be an array"),
    "two signatures": (_bundle(lambda v: v["dsseEnvelope"].update(signatures=[{}, {}])), _MODEL + "one signature is expected; the tool would look at the first only"),
    "an unknown key of the signature": (_bundle(lambda v: v["dsseEnvelope"]["signatures"][0].update(x=1)), _MODEL + "unknown key 'x'"),
    "an unknown material": (_bundle(lambda v: v["verificationMaterial"].update(x=1)), _MODEL + "unknown key 'x'"),
    "two materials": (_bundle(lambda v: v["verificationMaterial"].update(x509CertificateChain={})), _MODEL + "signed neither with a plain key nor with a certificate chain"),
    "a chain for a key": (lambda _: oms.verify_bundle(chain_bundle(FILES, LEAF), KEY.public), _MODEL + "not signed with a plain key\n  To continue: give --certificate-root and --identity"),
    "a key that is text": (_bundle(lambda v: v["verificationMaterial"].update(publicKey="x")), _MODEL + "'publicKey' must be an object"),
    "another key": (_bundle(lambda v: None, BOB.public), _MODEL + "signed with another key"),
    "a key for a chain": (_chain(lambda v: (v.pop("x509CertificateChain"), v.update(publicKey={}))), _MODEL + "not signed with a certificate chain\n  To continue: give --key"),
    "a chain that is text": (_chain(lambda v: v.update(x509CertificateChain="x")), _MODEL + "'x509CertificateChain' must be an object"),
    "a chain without certificates": (_chain(lambda v: v.update(x509CertificateChain={})), _MODEL + "'certificates' must be an array"),
    "a certificate that is text": (_chain(lambda v: v["x509CertificateChain"].update(certificates=["x"])), _MODEL + "a certificate must be an object"),
    "a certificate without content": (_chain(lambda v: v["x509CertificateChain"].update(certificates=[{}])), _MODEL + "'rawBytes' must be a string"),
    "a certificate that is not base64": (_chain(lambda v: v["x509CertificateChain"].update(certificates=[{"rawBytes": "!"}])), _MODEL + "not base64"),
    "no settings": (_payload(lambda v: v["predicate"].pop("serialization")), _MODEL + "'serialization' must be an object"),
    "no method": (_payload(lambda v: v["predicate"]["serialization"].pop("method")), _MODEL + "'method' must be a string"),
    "shards": (_payload(lambda v: v["predicate"]["serialization"].update(method="shards")), _MODEL + "serialised as 'shards' with 'sha256'; read are files with sha256 or blake2b"),
    "ignore_paths that are text": (_payload(lambda v: v["predicate"]["serialization"].update(ignore_paths="x")), _MODEL + "'ignore_paths' must be an array"),
    "no resources": (_payload(lambda v: v["predicate"].pop("resources")), _MODEL + "'resources' must be an array"),
    "a resource that is text": (_payload(lambda v: v["predicate"].update(resources=["x"])), _MODEL + "a resource must be an object"),
    "a resource without a name": (_payload(lambda v: v["predicate"].update(resources=[{}])), _MODEL + "'name' must be a string"),
    "a resource twice": (_payload(lambda v: v["predicate"]["resources"][1].update(name="a.py")), _MODEL + "'a.py' is listed twice"),
    "another hash of one": (_payload(lambda v: v["predicate"]["resources"][0].update(algorithm="md5")), _MODEL + "'a.py' is hashed with 'md5'"),
    "no digest of one": (_payload(lambda v: v["predicate"]["resources"][0].update(digest="x")), _MODEL + "'a.py' has no digest"),
    "another root digest": (_payload(lambda v: v["predicate"]["resources"].pop()), _MODEL + "the root digest is not that of the files listed below it"),
    "a path": (lambda _: oms.check_model_path("../x"), _MODEL + "not a plain relative path: '../x'"),
    "no file": (lambda _: oms.make_bundle("model", {}, (), KEY), _MODEL + "names no file"),
    "no roots": (lambda _: oms.CertificateTrust(roots=(), identity="x", now=NOW), _MODEL + "certificates need explicit roots and an identity"),
    "a key that cannot sign models": (lambda _: oms.make_bundle("model", FILES, (), ALICE), "[signature] model signatures are made with ECDSA, not ed25519\n  To continue: make a key: safe-remote-code keygen --algorithm ecdsa-p256"),
}  # fmt: skip


@pytest.mark.parametrize("case", MODELS)
def test_of_model_signatures(case: str, tmp_path: Path) -> None:
    call, expected = MODELS[case]
    assert_says(lambda: call(tmp_path), expected)


# --- rotations, the store, the memory and trust ---------------------------------------------------

OLD = KeySet(keys=frozenset([ALICE.public]), threshold=1)
NEW = KeySet(keys=frozenset([BOB.public]), threshold=1, number=1)


def _rotation(**changes: Any) -> Call:
    """A rotation with parts of its predicate changed, signed by both sets."""
    statement = json.loads(rotation_payload("our-org", OLD, NEW, NOW - DAY, NOW + DAY))
    predicate = statement["predicate"] | changes
    statement["predicate"] = {key: value for key, value in predicate.items() if value is not None}
    envelope = dsse.sign(json.dumps(statement).encode(), PAYLOAD_TYPE, [ALICE, BOB])
    return lambda _: current_keys(rule([ALICE.public]), [envelope], frozenset(), NOW)


def _spoilt(text: bytes) -> Call:
    def call(folder: Path) -> object:
        (folder / "seen.json").write_bytes(text)
        return memory.recall(folder / "seen.json")

    return call


_GOOD_SEEN = b'{"format":1,"seen":{},"time":"2026-01-01T00:00:00Z"}'
_FORGET = "\n  To continue: restore it; removing it forgets which versions were seen"
_RESTORE = "\n  To continue: restore the file, or list the new keys in the policy"
_ROTATION = "[signature] trust our-org, rotation 1: not accepted: "
SIGNATURES = "{tmp}/remote-code.signatures"


def _judged(*envelopes: bytes, **changes: Any) -> Call:
    from safe_remote_code.signing.store import Signed

    asked = rule([ALICE.public, BOB.public], **changes)
    signed = [Signed(name=f"{number}.json", data=data) for number, data in enumerate(envelopes)]
    keys = KeySet(keys=asked.keys, threshold=asked.threshold)
    return lambda _: judge_rule(asked, PACKAGE, signed, keys, NOW)


def _signed(*keys: Any, **changes: Any) -> bytes:
    return dsse.sign(approval(**changes).payload(), PAYLOAD_TYPE, list(keys))


def _folder(*names: str) -> Call:
    def call(folder: Path) -> object:
        for name in names:
            write_file(folder / "remote-code.signatures" / "rotations" / "our-org" / name, b"{}")
        return read_rotations(folder / "remote-code.lock", "our-org")

    return call


def _files(act: Callable[[Path], object]) -> Call:
    """What is done in the folder of signatures of a package, which is then read."""
    def call(folder: Path) -> object:
        place = folder / "remote-code.signatures" / ("1" * 32)
        place.mkdir(parents=True)
        act(place)
        return read_signatures(folder / "remote-code.lock", "sha256:" + "1" * 64)

    return call


_NEED = f"\n  To continue: have it signed: safe-remote-code sign {SOURCE} --key KEY"
TRUST: dict[str, tuple[Call, str]] = {
    "a set": (lambda _: KeySet(keys=OLD.keys, threshold=2), "[signature] rotation: a threshold of 2 cannot be met by 1 distinct keys"),
    "rotation: an unknown key": (_rotation(x=1), _ROTATION + "unknown key 'x'" + _RESTORE),
    "rotation: out of order": (_rotation(number=2), _ROTATION + "out of order" + _RESTORE),
    "rotation: no number": (_rotation(number=None), _ROTATION + "'number' must be an integer" + _RESTORE),
    "rotation: the future": (_rotation(issued="2026-11-24T12:00:00Z"), _ROTATION + "not yet valid" + _RESTORE),
    "rotation: a key twice": (_rotation(keys=[base64.b64encode(BOB.public.der).decode()] * 2), _ROTATION + "a key is listed twice" + _RESTORE),
    "rotation: no base64": (_rotation(keys=["!"]), _ROTATION + "not base64" + _RESTORE),
    "rotation: no threshold": (_rotation(threshold=None), _ROTATION + "'threshold' must be an integer" + _RESTORE),
    "rotation: another rule": (lambda _: current_keys(rule([ALICE.public], name="x"), [dsse.sign(rotation_payload("y", OLD, NEW, NOW, NOW + DAY), PAYLOAD_TYPE, [ALICE, BOB])], frozenset(), NOW), "[signature] trust x, rotation 1: not accepted: speaks of another rule, or of other keys than these" + _RESTORE),
    "a rule that has expired": (lambda _: current_keys(rule([ALICE.public], expires=NOW), [], frozenset(), NOW), "[signature] trust our-org: its keys expired at 2026-11-23T12:00:00Z\n  To continue: renew the expiry in the policy, or sign a new rotation"),
    "a key that is revoked": (lambda _: current_keys(rule([ALICE.public, BOB.public], 2), [], frozenset([BOB.public.key_id]), NOW), "[signature] trust our-org: 1 of its 2 keys are revoked; 2 signatures can no longer be had\n  To continue: list new keys in the policy"),
    "store: a gap": (_folder("2.json"), f"[signature] {SIGNATURES}/rotations/our-org: rotations are numbered 1.json, 2.json, ... without gaps\n  To continue: restore the folder from version control"),
    "store: too many": (_files(lambda place: [(place / str(number)).touch() for number in range(65)]), f"[signature] {SIGNATURES}/{'1' * 32}: more than 64 files"),
    "store: a link": (_files(lambda place: (place / "a.json").symlink_to("/etc/hostname")), f"[document] {SIGNATURES}/{'1' * 32}/a.json: cannot be read: Too many levels of symbolic links"),
    "store: a folder": (_files(lambda place: (place.rmdir(), place.touch())), f"[document] {SIGNATURES}/{'1' * 32}: cannot be listed: Not a directory"),
    "store: not written": (lambda tmp: ((tmp / "x").touch(), write_file(tmp / "x" / "y", b"")), "[document] {tmp}/x/y: cannot be written: …"),
    "memory: not JSON": (_spoilt(b"x"), "[document] {tmp}/seen.json: spoilt: not strict JSON: …" + _FORGET),
    "memory: an unknown key": (_spoilt(_GOOD_SEEN.replace(b"{", b'{"x":1,', 1)), "[document] {tmp}/seen.json: spoilt: unknown key 'x'" + _FORGET),
    "memory: another format": (_spoilt(_GOOD_SEEN.replace(b"1", b"2", 1)), "[document] {tmp}/seen.json: spoilt: of another format" + _FORGET),
    "memory: a folder": (lambda tmp: memory.recall(tmp), "[document] {tmp}: cannot be read: Is a directory"),
    "memory: not to be written": (lambda tmp: ((tmp / "x").touch(), memory.forget(tmp / "x" / "seen.json", None, clock=True)), "[document] {tmp}/x/seen.json: cannot be written: File exists"),
    "memory: the clock": (lambda _: memory.Seen(time=NOW).check_clock(NOW - DAY), "[signature] clock: the clock says 2026-11-22T12:00:00Z, but 2026-11-23T12:00:00Z was seen before\n  To continue: set the clock; if it was wrong before: safe-remote-code trust forget --clock"),
    "memory: a rollback": (lambda _: memory.Seen(numbers={"a": 2}).check_numbers({"a": 1}, "restore it"), "[signature] a: 1 is a rollback: 2 was seen here before\n  To continue: restore it"),
    "memory: a rollback meanwhile": (lambda tmp: (memory.remember(tmp / "m", {"a": 2}, NOW), memory.remember(tmp / "m", {"a": 1, "b": 1}, NOW)), "[signature] a: 1 is a rollback: 2 was seen here before\n  To continue: load again"),
    "nobody signed": (_judged(), f"[signature] {SOURCE}: trust rule our-org needs 1 distinct keys, and 0 signed" + _NEED),
    "one signed": (_judged(_signed(ALICE), threshold=2), f"[signature] {SOURCE}: trust rule our-org needs 2 distinct keys, and 1 signed" + _NEED),
    "each another version": (_judged(_signed(ALICE), _signed(BOB, version=2), threshold=2), f"[signature] {SOURCE}: trust rule our-org needs 2 distinct keys, and 1 signed in any one version" + _NEED),
    "each reason": (_judged(_signed(EVE), _signed(ALICE, commit=None), _signed(ALICE, expires=NOW), _signed(ALICE, issued=NOW + DAY)), f"[signature] {SOURCE}: trust rule our-org needs 1 distinct keys, and 0 signed\n  0.json: signed by 0 trusted keys of the 1 that are needed\n  1.json: an approval of another commit: None\n  2.json: expired at 2026-11-23T12:00:00Z\n  3.json: issued in the future, at 2026-11-24T12:00:00Z" + _NEED),
    "under the minimum": (_judged(_signed(ALICE), minimum_version=2), f"[signature] {SOURCE}: version 1 is under the minimum of trust rule our-org, 2\n  To continue: pin and sign the current code"),
}  # fmt: skip


@pytest.mark.parametrize("case", TRUST)
def test_of_trust(case: str, tmp_path: Path) -> None:
    call, expected = TRUST[case]
    assert_says(lambda: call(tmp_path), expected.replace("{tmp}", str(tmp_path)))


# --- trust rules in a policy ----------------------------------------------------------------------

_KEY = f'[[key]]\nname = "alice"\npublic = """\n{ALICE.public.pem}"""\n'
_RULE = '[[trust]]\nname = "team"\nsources = ["hub:a/*"]\nkeys = ["alice"]\nexpires = "2099-01-01T00:00:00Z"\nwhy = "w"\n'
_REVOKED = f'[[revoked]]\nkey_id = "{"0" * 64}"\nwhy = "w"\n'
_FIX = "\n  To continue: correct the file"
RULES: dict[str, tuple[str, str]] = {
    "key: an odd name": (_KEY.replace("alice", "../alice"), "key[0].name: letters, digits and . _ - only, not '../alice'" + _FIX),
    "key: no key": ('[[key]]\nname = "a"\npublic = "x"\n', "key[0].public: neither a PEM public key nor an OpenSSH one\n  To continue: give the .pub file that keygen or ssh-keygen wrote"),
    "key: a broken key": ('[[key]]\nname = "a"\npublic = "ssh-ed25519 AAAA"\n', "key[0].public: not a public key: …" + _FIX),
    "key: a name twice": (_KEY * 2, "key[1].name: 'alice' is there twice" + _FIX),
    "key: no name": (_KEY.replace('name = "alice"\n', ""), "key[0].name: a string is required" + _FIX),
    "key: no public": ('[[key]]\nname = "a"\n', "key[0].public: a string is required" + _FIX),
    "key: an unknown key": (_KEY + "x = 1\n", "key[0].x: unknown key; known here: name, public" + _FIX),
    "rule: no keys": (_KEY + _RULE.replace('keys = ["alice"]\n', ""), "trust[0].keys: a list of strings is required" + _FIX),
    "rule: a key that nobody named": (_KEY + _RULE.replace("alice", "bob"), "trust[0].keys: no [[key]] is named 'bob'" + _FIX),
    "rule: one key under two names": (_KEY + _KEY.replace("alice", "bob") + _RULE.replace('"alice"', '"alice", "bob"'), "trust[0].keys: two of these names are one key, which would count once" + _FIX),
    "rule: no name": (_KEY + _RULE.replace('name = "team"\n', ""), "trust[0].name: a string is required" + _FIX),
    "rule: an odd name": (_KEY + _RULE.replace("team", "../team"), "trust[0]: a rule's name has letters, digits and . _ - only" + _FIX),
    "rule: no sources": (_KEY + _RULE.replace('sources = ["hub:a/*"]\n', ""), "trust[0].sources: a list of strings is required" + _FIX),
    "rule: empty sources": (_KEY + _RULE.replace('"hub:a/*"', ""), "trust[0]: a rule has sources and a reason" + _FIX),
    "rule: an empty reason": (_KEY + _RULE.replace('"w"', '" "'), "trust[0]: a rule has sources and a reason" + _FIX),
    "rule: no reason": (_KEY + _RULE.replace('why = "w"\n', ""), "trust[0].why: a string is required" + _FIX),
    "rule: no expiry": (_KEY + _RULE.replace('expires = "2099-01-01T00:00:00Z"\n', ""), "trust[0].expires: a string is required" + _FIX),
    "rule: no time": (_KEY + _RULE.replace("2099-01-01T00:00:00Z", "never"), "trust[0]: not a time like 2026-11-23T08:00:00Z: 'never'" + _FIX),
    "rule: too high a threshold": (_KEY + _RULE + "threshold = 2\n", "trust[0]: a threshold of 2 cannot be met by 1 distinct keys" + _FIX),
    "rule: no threshold": (_KEY + _RULE + "threshold = 0\n", "trust[0]: a threshold of 0 cannot be met by 1 distinct keys" + _FIX),
    "rule: a threshold that is text": (_KEY + _RULE + "threshold = '1'\n", "trust[0].threshold: an integer, not '1'" + _FIX),
    "rule: a threshold that is a boolean": (_KEY + _RULE + "threshold = true\n", "trust[0].threshold: an integer, not True" + _FIX),
    "rule: no minimum": (_KEY + _RULE + "minimum_version = 0\n", "trust[0]: versions begin at 1" + _FIX),
    "rule: a minimum that is a fraction": (_KEY + _RULE + "minimum_version = 1.0\n", "trust[0].minimum_version: an integer, not 1.0" + _FIX),
    "rule: an unknown key": (_KEY + _RULE + "x = 1\n", "trust[0].x: unknown key; known here: expires, keys, minimum_version, name, sources, threshold, why" + _FIX),
    "revoked: a name": (_REVOKED.replace("0" * 64, "alice"), "revoked[0].key_id: 64 hex digits, not 'alice'" + _FIX),
    "revoked: no key id": ('[[revoked]]\nwhy = "w"\n', "revoked[0].key_id: a string is required" + _FIX),
    "revoked: an empty reason": (_REVOKED.replace('"w"', '" "'), "revoked[0].why: a revocation says why" + _FIX),
    "revoked: no reason": (_REVOKED.replace('why = "w"\n', ""), "revoked[0].why: a string is required" + _FIX),
    "revoked: an unknown key": (_REVOKED + "x = 1\n", "revoked[0].x: unknown key; known here: key_id, why" + _FIX),
}  # fmt: skip


@pytest.mark.parametrize("case", RULES)
def test_of_trust_rules(case: str, tmp_path: Path) -> None:
    text, expected = RULES[case]
    (tmp_path / "p.toml").write_text(f'format = 1\nname = "p"\nextends = ["default"]\n{text}')
    assert_says(lambda: load_policy(tmp_path / "p.toml"), f"[document] {tmp_path}/p.toml: {expected}")
