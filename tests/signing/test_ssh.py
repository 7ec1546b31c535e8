"""SSH signatures: made by the real `ssh-keygen`, and taken apart and put together wrongly."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from safe_remote_code.errors import SignatureError
from safe_remote_code.signing import key_files
from safe_remote_code.signing.keys import PublicKey
from safe_remote_code.signing.ssh import parse_ssh_signature, verify_ssh
from signing.approvals import ALICE, Project, approval, policy, rule

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
KINDS = {"ed25519": [], "ecdsa": ["-b", "256"], "ecdsa-384": ["-b", "384"], "ecdsa-521": ["-b", "521"], "rsa": ["-b", "2048"]}
PAYLOAD = b"what is signed\n"


def _ssh_keygen(*arguments: object) -> None:
    subprocess.run(["ssh-keygen", *map(str, arguments)], check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ssh")
    for kind, options in KINDS.items():
        _ssh_keygen("-q", "-t", kind.partition("-")[0], *options, "-N", "", "-C", "someone", "-f", folder / kind)
    return folder


def _signed(key: Path, folder: Path, payload: bytes = PAYLOAD, namespace: str = "safe-remote-code", *more: str) -> str:
    (folder / "payload").write_bytes(payload)
    (folder / "payload.sig").unlink(missing_ok=True)
    _ssh_keygen("-Y", "sign", "-f", key, "-n", namespace, *more, folder / "payload")
    return (folder / "payload.sig").read_text()


def _public(key: Path) -> PublicKey:
    return key_files.load_public(f"{key}.pub")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
def test_what_ssh_keygen_signs_verifies(kind: str, hash_name: str, keys: Path, tmp_path: Path) -> None:
    key = _public(keys / kind)
    signature = _signed(keys / kind, tmp_path, PAYLOAD, "safe-remote-code", "-O", f"hashalg={hash_name}")
    assert verify_ssh(signature, PAYLOAD, [key]).key_ids == {key.key_id}
    with pytest.raises(SignatureError):
        verify_ssh(signature, PAYLOAD + b"!", [key])
    with pytest.raises(SignatureError, match="not trusted"):
        verify_ssh(signature, PAYLOAD, [ALICE.public])
    with pytest.raises(SignatureError, match="no key is trusted"):
        verify_ssh(signature, PAYLOAD, [])


def test_a_signature_for_another_purpose_is_refused(keys: Path, tmp_path: Path) -> None:
    for namespace in ("git", "file", "safe-remote-code2", "SAFE-REMOTE-CODE"):
        signature = _signed(keys / "ed25519", tmp_path, PAYLOAD, namespace)
        with pytest.raises(SignatureError, match="made for"):
            verify_ssh(signature, PAYLOAD, [_public(keys / "ed25519")])


def test_it_counts_towards_a_trust_rule_beside_an_envelope(keys: Path, tmp_path: Path) -> None:
    project, key = Project(tmp_path), _public(keys / "ecdsa")
    asked = policy(rule([ALICE.public, key], 2))
    project.sign(ALICE)
    statement = project.put(approval().payload(), suffix=".statement.json")
    _ssh_keygen("-Y", "sign", "-f", keys / "ecdsa", "-n", "safe-remote-code", statement)
    assert project.judge(asked)[0].key_ids == {ALICE.public.key_id, key.key_id}
    statement.write_bytes(approval(version=2).payload())
    with pytest.raises(SignatureError, match="1 signed"):
        project.judge(asked)


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _armour(blob: bytes) -> str:
    return f"-----BEGIN SSH SIGNATURE-----\n{base64.b64encode(blob).decode()}\n-----END SSH SIGNATURE-----\n"


def _blob(text: str) -> bytes:
    return base64.b64decode("".join(text.strip().split("\n")[1:-1]))


CHANGED: dict[str, Callable[[bytes], bytes]] = {
    "another magic": lambda blob: b"SSHSIX" + blob[6:],
    "version 2": lambda blob: blob[:9] + b"\2" + blob[10:],
    "a byte behind it": lambda blob: blob + b"\0",
    "a byte less": lambda blob: blob[:-1],
    "a hash that is not known": lambda blob: blob.replace(_string(b"sha512"), _string(b"sha1")),
    "the hash none": lambda blob: blob.replace(_string(b"sha512"), _string(b"")),
    "another hash than was signed": lambda blob: blob.replace(_string(b"sha512"), _string(b"sha256")),
    "something reserved": lambda blob: blob.replace(b"\0\0\0\0" + _string(b"sha512"), _string(b"x") + _string(b"sha512")),
    "another algorithm name": lambda blob: blob.replace(_string(b"ssh-ed25519"), _string(b"ssh-rsa")),
    "the algorithm of RSA over an Ed25519 key": lambda blob: blob[:60] + blob[60:].replace(b"ssh-ed25519", b"rsa-sha2-51"),
    "a length beyond the end": lambda blob: blob[:10] + b"\xff\xff\xff\xff" + blob[14:],
    "a zero in the signature": lambda blob: blob[:-1] + bytes([blob[-1] ^ 1]),
    "cut after the key": lambda blob: blob[:65],
    "empty": lambda blob: b"",
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_changed_signature_is_refused(case: str, keys: Path, tmp_path: Path) -> None:
    blob = _blob(_signed(keys / "ed25519", tmp_path))
    changed = CHANGED[case](blob)
    assert changed != blob
    with pytest.raises(SignatureError):
        verify_ssh(_armour(changed), PAYLOAD, [_public(keys / "ed25519")])


def test_a_trusted_key_put_over_a_strangers_signature_is_refused(keys: Path, tmp_path: Path) -> None:
    _ssh_keygen("-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "eve")
    blob = _blob(_signed(tmp_path / "eve", tmp_path))
    own, trusted = (base64.b64decode(Path(f"{key}.pub").read_text().split()[1]) for key in (tmp_path / "eve", keys / "ed25519"))
    with pytest.raises(SignatureError, match="not a signature"):
        verify_ssh(_armour(blob.replace(own, trusted)), PAYLOAD, [_public(keys / "ed25519")])


def test_armour_is_strict(keys: Path, tmp_path: Path) -> None:
    text = _signed(keys / "ed25519", tmp_path)
    parse_ssh_signature(text)
    parse_ssh_signature(text.replace("\n", "\r\n"))
    begin, *middle, end = text.strip().split("\n")
    pieces = [[begin.lower(), *middle, end], ["x", *middle, end], [begin, *middle, "x"], [*middle, end], [begin, *middle], [begin, end], [end, *middle, begin]]
    for bad in ("", *map("\n".join, pieces), text + text, "x\n" + text, text.replace("SSH SIGNATURE", "PGP SIGNATURE"), text.replace("U1NIU0lH", "U1NIU0l!"), text.split("\n")[1], "A" * 100_000):
        with pytest.raises(SignatureError):
            parse_ssh_signature(bad)


def test_ecdsa_integers_have_one_spelling(keys: Path, tmp_path: Path) -> None:
    blob = _blob(_signed(keys / "ecdsa", tmp_path))
    head, inner = blob.rsplit(_string(b"ecdsa-sha2-nistp256"), 1)
    numbers = inner[4:]
    length = int.from_bytes(numbers[:4], "big")
    r, rest = numbers[4 : 4 + length], numbers[4 + length :]
    for changed in (_string(b"\0" + r) + rest, _string(b"") + rest, _string(b"\x80" + r) + rest, _string(b"\0") + rest, _string(r) + rest + b"\0"):
        outer = _string(b"ecdsa-sha2-nistp256") + _string(changed)
        whole = head[:-4] + _string(outer)
        with pytest.raises(SignatureError):
            verify_ssh(_armour(whole), PAYLOAD, [_public(keys / "ecdsa")])
    same = head[:-4] + _string(_string(b"ecdsa-sha2-nistp256") + _string(_string(r) + rest))
    verify_ssh(_armour(same), PAYLOAD, [_public(keys / "ecdsa")])
