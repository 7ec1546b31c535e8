"""OpenSSF Model Signing: `model.sig`, as the `model_signing` tool makes and accepts it (model-signing 1.1, OMS 1.0).

Guarantee: a `ModelManifest` that `verify_bundle` returns was signed by the trusted key, names each file once by
a plain relative path, and its own root digest is the one that was signed.

Rules: a bundle holds exactly one signature, by ECDSA with the hash of its curve, over the encoding of DSSE 1 (not
the one of version 0.2, which the tool still accepts). What the bundle says about its key is a hint or a claim; the
key, or the roots and the identity, come from the user. Files are listed whole (`files`), by SHA-256 or BLAKE2b.

It does not: read the shards serialisation, BLAKE3, or Sigstore's keyless bundles; say anything about source,
version or expiry, which this format does not have.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from ..errors import SignatureError
from ..limits import MAX_ENVELOPE_BYTES, MAX_MODEL_FILES, MAX_PATH_CHARS
from .certificates import certified_key, chain_of
from .dsse import pae, verify
from .keys import PublicKey
from .statements import PAYLOAD_TYPE, Statement, parse_statement
from .strict_json import from_base64, list_of, object_of, only_keys, read_object, text_of, texts_of, to_base64

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from cryptography.x509 import Certificate

    from .keys import PrivateKey

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE_TYPE: Final = "https://model_signing/signature/v1.0"
#: Hash names of the format, and the hex digits of each.
HASHES: Final = {"sha256": 64, "blake2b": 128}
#: What the tool leaves out unless told otherwise; no loader of ours can name these paths.
GIT_PATHS: Final = (".git", ".gitattributes", ".github", ".gitignore")
#: Where the Hub's client keeps its notes in a folder that it downloaded to, also after the folder was signed.
HUB_NOTES: Final = ".cache/huggingface"
_SUBJECT: Final = "model signature"
_HEX: Final = frozenset("0123456789abcdef")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ModelManifest:
    """Every signed file by path, with its digest (hex) under `hash_name`; and what the signer left out."""

    files: Mapping[str, str]
    hash_name: str
    ignored: tuple[str, ...]
    key: PublicKey

    def __post_init__(self) -> None:
        if not self.files:
            raise SignatureError("names no file", subject=_SUBJECT)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateTrust:
    """Roots and the identity that a certificate must have, and the time at which it must be valid."""

    roots: tuple[Certificate, ...]
    identity: str
    now: datetime

    def __post_init__(self) -> None:
        if not self.roots or not self.identity:
            raise SignatureError("certificates need explicit roots and an identity", subject=_SUBJECT)


def verify_bundle(bundle: bytes, trusted: PublicKey | CertificateTrust) -> ModelManifest:
    """The manifest in `bundle`, signed by `trusted`: a key, or whoever the certificates prove.

    Raises:
        SignatureError: it is not, or it is malformed or of a kind that is not accepted.
    """
    value = read_object(bundle, _SUBJECT, MAX_ENVELOPE_BYTES)
    only_keys(value, frozenset({"mediaType", "verificationMaterial", "dsseEnvelope"}), _SUBJECT)
    if text_of(value, "mediaType", _SUBJECT) != MEDIA_TYPE:
        raise SignatureError(f"not of type {MEDIA_TYPE}", subject=_SUBJECT)
    key = _key(object_of(value, "verificationMaterial", _SUBJECT), trusted)
    if not key.algorithm.startswith("ecdsa-"):
        raise SignatureError(f"model signatures are made with ECDSA, not {key.algorithm}", subject=_SUBJECT)
    envelope = object_of(value, "dsseEnvelope", _SUBJECT)
    _check_envelope(envelope)
    payload = verify(json.dumps(envelope).encode(), PAYLOAD_TYPE, [key]).payload
    return _manifest(parse_statement(payload, PREDICATE_TYPE), key)


def _check_envelope(envelope: dict[str, object]) -> None:
    """Nothing is ignored: whoever else reads the bundle sees no more than what was verified."""
    only_keys(envelope, frozenset({"payload", "payloadType", "signatures"}), _SUBJECT)
    signatures = list_of(envelope, "signatures", _SUBJECT)
    if len(signatures) != 1 or not isinstance(signatures[0], dict):
        raise SignatureError("one signature is expected; the tool would look at the first only", subject=_SUBJECT)
    only_keys(signatures[0], frozenset({"sig", "keyid"}), _SUBJECT)


def _hint(key: PublicKey) -> str:
    """How a bundle refers to its key."""
    return hashlib.sha256(key.pem.encode("ascii")).hexdigest()


def _key(material: dict[str, object], trusted: PublicKey | CertificateTrust) -> PublicKey:
    only_keys(material, frozenset({"publicKey", "x509CertificateChain", "tlogEntries"}), _SUBJECT)
    if len({"publicKey", "x509CertificateChain"} & set(material)) != 1 or material.get("tlogEntries", []) != []:
        raise SignatureError("signed neither with a plain key nor with a certificate chain", subject=_SUBJECT)
    if isinstance(trusted, PublicKey):
        if "publicKey" not in material:
            raise SignatureError("not signed with a plain key", subject=_SUBJECT,
                                 remedy="give --certificate-root and --identity")  # fmt: skip
        if object_of(material, "publicKey", _SUBJECT) not in ({}, {"hint": _hint(trusted)}):
            raise SignatureError("signed with another key", subject=_SUBJECT)
        return trusted
    if "x509CertificateChain" not in material:
        raise SignatureError("not signed with a certificate chain", subject=_SUBJECT, remedy="give --key")
    chain = []
    for entry in list_of(object_of(material, "x509CertificateChain", _SUBJECT), "certificates", _SUBJECT):
        if not isinstance(entry, dict):
            raise SignatureError("a certificate must be an object", subject=_SUBJECT)
        chain.append(from_base64(text_of(entry, "rawBytes", _SUBJECT), _SUBJECT))
    return certified_key(chain, trusted.roots, trusted.identity, trusted.now)


def _manifest(statement: Statement, key: PublicKey) -> ModelManifest:
    predicate = dict(statement.predicate)
    settings = object_of(predicate, "serialization", _SUBJECT)
    hash_name, method = (text_of(settings, name, _SUBJECT) for name in ("hash_type", "method"))
    hash_name = "blake2b" if hash_name == "blake2" else hash_name
    if method != "files" or hash_name not in HASHES:
        raise SignatureError(f"serialised as {method!r:.40} with {hash_name!r:.40}; read are files with "
                             f"{' or '.join(HASHES)}", subject=_SUBJECT)  # fmt: skip
    files = _resources(predicate, hash_name)
    root = hashlib.sha256(b"".join(map(bytes.fromhex, files.values()))).hexdigest()
    if list(statement.subjects.values()) != [root]:
        raise SignatureError("the root digest is not that of the files listed below it", subject=_SUBJECT)
    ignored = texts_of(settings, "ignore_paths", _SUBJECT) if "ignore_paths" in settings else ()
    return ModelManifest(files=files, hash_name=hash_name, ignored=ignored, key=key)


def _resources(predicate: dict[str, object], hash_name: str) -> dict[str, str]:
    entries = list_of(predicate, "resources", _SUBJECT)
    if len(entries) > MAX_MODEL_FILES:
        raise SignatureError(f"more than {MAX_MODEL_FILES} files", subject=_SUBJECT)
    files: dict[str, str] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            raise SignatureError("a resource must be an object", subject=_SUBJECT)
        name, algorithm, digest = (text_of(entry, key, _SUBJECT) for key in ("name", "algorithm", "digest"))
        check_model_path(name)
        if name in files:
            raise SignatureError(f"{name!r:.120} is listed twice", subject=_SUBJECT)
        if algorithm not in (hash_name, "blake2" if hash_name == "blake2b" else hash_name):
            raise SignatureError(f"{name!r:.120} is hashed with {algorithm!r:.40}", subject=_SUBJECT)
        if len(digest) != HASHES[hash_name] or not set(digest) <= _HEX:
            raise SignatureError(f"{name!r:.120} has no digest", subject=_SUBJECT)
        files[name] = digest
    return files


def check_model_path(path: str) -> str:
    """Return `path` if it names a file inside a folder, on every system the same one.

    Looser than paths of code: weights may have spaces and brackets in their names.

    Raises:
        SignatureError: absolute, `..`, an empty part, a backslash, or a control character.
    """
    parts = path.split("/")
    odd = "\\" in path or any(ord(char) < 32 or ord(char) == 127 or 0xD800 <= ord(char) < 0xE000 for char in path)
    if odd or len(path) > 4 * MAX_PATH_CHARS or any(part in ("", ".", "..") for part in parts):
        raise SignatureError(f"not a plain relative path: {path!r:.120}", subject=_SUBJECT)
    return path


def make_bundle(
    name: str, files: Mapping[str, str], ignored: Sequence[str], key: PrivateKey, chain: Sequence[Certificate] = ()
) -> bytes:
    """The bundle over `files` (path to SHA-256) of the model `name`, signed by `key`.

    `chain` is the certificate of the key, then those of its issuers, to be put in instead of a hint at the key.

    Raises:
        SignatureError: no file, a path that cannot be signed, a key of a kind the format does not know, or a
            certificate of another key.
    """
    if not key.public.algorithm.startswith("ecdsa-"):
        raise SignatureError(f"model signatures are made with ECDSA, not {key.public.algorithm}",
                             remedy="make a key: safe-remote-code keygen --algorithm ecdsa-p256")  # fmt: skip
    paths = sorted(check_model_path(path) for path in files)
    made = ModelManifest(files=files, hash_name="sha256", ignored=tuple(ignored), key=key.public)
    root = hashlib.sha256(b"".join(bytes.fromhex(files[path]) for path in paths)).hexdigest()
    resources: list[object] = [{"name": path, "algorithm": made.hash_name, "digest": files[path]} for path in paths]
    settings = {
        "method": "files",
        "hash_type": made.hash_name,
        "allow_symlinks": False,
        "ignore_paths": list(made.ignored),
    }
    predicate = {"serialization": settings, "resources": resources}
    payload = Statement(subjects={name: root}, predicate_type=PREDICATE_TYPE, predicate=predicate).payload()
    envelope = {
        "payload": to_base64(payload),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"sig": to_base64(key.sign(pae(payload, PAYLOAD_TYPE))), "keyid": ""}],
    }
    material: dict[str, object] = {"publicKey": {"hint": _hint(made.key)}, "tlogEntries": []}
    if chain:
        certificates = [{"rawBytes": to_base64(der)} for der in chain_of(chain, made.key)]
        material = {"x509CertificateChain": {"certificates": certificates}, "tlogEntries": []}
    bundle = {"mediaType": MEDIA_TYPE, "verificationMaterial": material, "dsseEnvelope": envelope}
    return json.dumps(bundle, separators=(",", ":")).encode()
