"""Signatures of audits and of sets, through the envelopes of `signing`.

The store holds signatures, never a second copy of what they sign: the bytes are made again from the
record that is shown, so what a reader sees in the file is what was signed.

1. a key that is revoked counts for nothing, whatever date a record bears: a thief chooses dates;
2. a key of a peer counts for that peer's set alone, and a key of ours for our own audits alone;
3. distinct keys are counted, not signatures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..errors import SignatureError
from ..signing import dsse
from ..signing.keys import PublicKey, parse_public
from ..signing.statements import PAYLOAD_TYPE, Statement
from ..signing.strict_json import list_of, read_object, text_of, to_base64, write_object
from .records import Audit, AuditKey, Signature

if TYPE_CHECKING:
    from ..signing.keys import PrivateKey

AUDIT_PREDICATE: Final = "urn:safe-remote-code:audit:1"
SET_TYPE: Final = "application/vnd.safe-remote-code.audits+toml"
#: Of an envelope that we made or that was verified.
_MAX_ENVELOPE_BYTES: Final = 64 * 1024 * 1024


def _payload(audit: Audit) -> bytes:
    predicate: dict[str, object] = {
        "commit": audit.commit, "deltaFrom": audit.base, "criteria": list(audit.criteria), "notes": audit.notes,
        "who": audit.who, "date": audit.date.isoformat(),
    }  # fmt: skip
    subjects = {audit.source: audit.digest.removeprefix("sha256:")}
    return Statement(subjects=subjects, predicate_type=AUDIT_PREDICATE, predicate=predicate).payload()


def _envelope(payload: bytes, payload_type: str, signatures: Iterable[Signature]) -> bytes:
    entries: list[object] = [{"keyid": item.key, "sig": item.value} for item in signatures]
    return write_object({"payload": to_base64(payload), "payloadType": payload_type, "signatures": entries})


def signatures_of(envelope: bytes) -> tuple[Signature, ...]:
    """The signatures that `envelope` holds, as records.

    Raises:
        SignatureError: malformed.
    """
    entries = list_of(read_object(envelope, "envelope", _MAX_ENVELOPE_BYTES), "signatures", "envelope")
    found = []
    for entry in entries:
        if not isinstance(entry, dict):
            raise SignatureError("a signature must be an object", subject="envelope")
        try:
            found.append(Signature(key=text_of(entry, "keyid", "envelope"), value=text_of(entry, "sig", "envelope")))
        except ValueError as error:
            raise SignatureError(str(error), subject="envelope") from None
    return tuple(found)


def sign_audit(audit: Audit, keys: Sequence[PrivateKey]) -> Audit:
    """`audit` with a signature by each of `keys`, beside those that it has by other keys."""
    made = signatures_of(dsse.sign(_payload(audit), PAYLOAD_TYPE, keys))
    kept = [item for item in audit.signatures if item.key not in {new.key for new in made}]
    return replace(audit, signatures=(*kept, *made))


def sign_set(text: str, keys: Sequence[PrivateKey]) -> bytes:
    """The envelope in which the set `text` is published."""
    return dsse.sign(text.encode("utf-8"), SET_TYPE, keys)


def counted_keys(keys: Iterable[AuditKey], peer: str = "") -> dict[str, PublicKey]:
    """Name to key, of those that count for `peer`, or for us; each key has one name.

    Raises:
        SignatureError: one is no public key that is accepted, or is listed twice in two spellings.
    """
    listed = [(key, parse_public(key.public)) for key in keys]
    revoked = {public.key_id for key, public in listed if key.revoked is not None}  # 1: under whatever name
    counted: dict[str, PublicKey] = {}
    for key, public in listed:
        if key.peer != peer or public.key_id in revoked:  # 2
            continue
        if public in counted.values():  # 3
            raise SignatureError("one key under two names would count twice", subject=key.name, remedy="list it once")
        counted[key.name] = public
    return counted


def signers_of_audit(audit: Audit, keys: dict[str, PublicKey]) -> frozenset[str]:
    """Names of those of `keys` that signed `audit`; none if nobody did."""
    return _signers(_payload(audit), PAYLOAD_TYPE, audit.signatures, keys)


def signers_of_set(payload: bytes, signatures: Sequence[Signature], keys: dict[str, PublicKey]) -> frozenset[str]:
    """Names of those of `keys` that signed the set `payload`."""
    return _signers(payload, SET_TYPE, signatures, keys)


def _signers(
    payload: bytes, payload_type: str, signatures: Sequence[Signature], keys: dict[str, PublicKey]
) -> frozenset[str]:
    if not signatures or not keys:
        return frozenset()
    try:
        verified = dsse.verify(_envelope(payload, payload_type, signatures), payload_type, keys.values())
    except SignatureError:
        return frozenset()  # by keys that do not count; the caller asks how many do
    return frozenset(name for name, key in keys.items() if key.key_id in verified.key_ids)  # 3
