"""DSSE envelopes (https://github.com/secure-systems-lab/dsse, v1.0.2): a payload, its type, and signatures of both.

Guarantee: `verify` returns the payload only if at least `threshold` *distinct trusted keys* signed exactly
it under exactly this type. Keys are counted by what they are; the `keyid` of a signature is a hint that
anybody can write, and nothing is decided by it.

1. at least one key is trusted, and the threshold is neither under one nor over their number;
2. the envelope has one reading (strict JSON, strict base64, bounded), and is of the expected type;
3. the bytes that were signed are those of the pre-authentication encoding (PAE);
4. each key counts once, however many signatures it made and whatever they call it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, final

from ..errors import SignatureError
from ..limits import MAX_ENVELOPE_BYTES, MAX_SIGNATURES
from .strict_json import from_base64, list_of, read_object, text_of, to_base64, write_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .keys import PrivateKey, PublicKey

_SUBJECT: Final = "envelope"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A payload, and the ids of the trusted keys that signed it."""

    payload: bytes = field(repr=False)
    key_ids: frozenset[str]

    def __post_init__(self) -> None:
        if not self.key_ids:
            raise ValueError("nobody signed this")


def pae(payload: bytes, payload_type: str) -> bytes:
    """The bytes that are signed: type and payload, each with its length, so that neither can pass for the other."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, payload_type: str, keys: Sequence[PrivateKey]) -> bytes:
    """The envelope of `payload`, signed by each of `keys`; canonical JSON.

    Raises:
        ValueError: no key, or the same key twice.
    """
    by_id = {key.public.key_id: key for key in keys}
    if not keys or len(by_id) != len(keys):
        raise ValueError("an envelope is signed by one or more distinct keys")
    message = pae(payload, payload_type)
    signatures = [{"keyid": name, "sig": to_base64(by_id[name].sign(message))} for name in sorted(by_id)]
    return write_object({"payload": to_base64(payload), "payloadType": payload_type, "signatures": signatures})


def verify(envelope: bytes, payload_type: str, trusted: Iterable[PublicKey], threshold: int = 1) -> Verified:
    """The payload of `envelope`, signed by at least `threshold` distinct keys of `trusted`.

    Raises:
        SignatureError: it is not, or it is malformed, of another type, or the demand could never be met.
    """
    keys = check_threshold(trusted, threshold)  # 1
    value = read_object(envelope, _SUBJECT, MAX_ENVELOPE_BYTES)  # 2
    if text_of(value, "payloadType", _SUBJECT) != payload_type:
        raise SignatureError(f"not of type {payload_type}", subject=_SUBJECT)
    payload = from_base64(text_of(value, "payload", _SUBJECT), _SUBJECT)
    signed_by = _signers(_signatures(value), pae(payload, payload_type), keys)  # 3
    if len(signed_by) < threshold:
        raise SignatureError(f"signed by {len(signed_by)} trusted keys of the {threshold} that are needed",
                             subject=_SUBJECT)  # fmt: skip
    return Verified(payload=payload, key_ids=frozenset(signed_by))


def check_threshold(trusted: Iterable[PublicKey], threshold: int) -> frozenset[PublicKey]:
    """The distinct keys of `trusted`, if `threshold` of them is a demand that can be met and is not empty.

    Raises:
        SignatureError: no key, or fewer than `threshold`. ValueError: a threshold under one.
    """
    keys = frozenset(trusted)
    if isinstance(threshold, bool) or threshold < 1:
        raise ValueError("a threshold is at least one")
    if not keys:
        raise SignatureError("no key is trusted, so nothing can be verified")
    if len(keys) < threshold:
        raise SignatureError(f"{threshold} signatures are needed, but only {len(keys)} distinct keys are trusted")
    return keys


def _signatures(value: dict[str, object]) -> list[bytes]:
    entries = list_of(value, "signatures", _SUBJECT)
    if not 1 <= len(entries) <= MAX_SIGNATURES:
        raise SignatureError(f"1 to {MAX_SIGNATURES} signatures, not {len(entries)}", subject=_SUBJECT)
    found = []
    for entry in entries:
        if not isinstance(entry, dict):
            raise SignatureError("a signature must be an object", subject=_SUBJECT)
        found.append(from_base64(text_of(entry, "sig", _SUBJECT), _SUBJECT))
    return found


def _signers(signatures: Iterable[bytes], message: bytes, keys: frozenset[PublicKey]) -> set[str]:
    return {key.key_id for key in keys for signature in signatures if _signed(key, signature, message)}  # 4


def _signed(key: PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.check(signature, message)
    except SignatureError:
        return False  # by another key, or by none
    return True


def merge(one: bytes, other: bytes) -> bytes:
    """One envelope with the signatures of both, which are of the same payload; nothing is verified.

    Raises:
        SignatureError: malformed, or of different payloads.
    """
    values = [read_object(data, _SUBJECT, MAX_ENVELOPE_BYTES) for data in (one, other)]
    for key in ("payload", "payloadType"):
        if text_of(values[0], key, _SUBJECT) != text_of(values[1], key, _SUBJECT):
            raise SignatureError(f"two envelopes differ in their {key}", subject=_SUBJECT)
    joined = [item for value in values for item in list_of(value, "signatures", _SUBJECT)]
    distinct = [item for at, item in enumerate(joined) if item not in joined[:at]]
    return write_object({**values[0], "signatures": distinct})
