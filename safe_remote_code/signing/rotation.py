"""Key rotation: a trust rule's keys are replaced by a statement that the old set and the new set both sign.

The model is TUF's root rotation (specification, section 5.3). Rotation n + 1 is accepted if

1. it speaks of the key set that rotation n left behind, by that set's id, and of the same rule;
2. the old threshold of old keys signed it, so nobody else can take over;
3. the new threshold of new keys signed it, so nobody is locked out by a misspelt key;
4. the last one has not expired, and none is from the future. A revoked key counts on neither side.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from ..errors import SignatureError
from .dsse import verify
from .keys import PublicKey
from .statements import PAYLOAD_TYPE, Statement, parse_statement
from .strict_json import from_base64, integer_of, only_keys, text_of, texts_of, to_base64, write_object
from .times import CLOCK_SKEW, format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from .rules import TrustRule

ROTATION_TYPE: Final = "urn:safe-remote-code:rotation:1"
_SUBJECT: Final = "rotation"
_KEYS: Final = frozenset({"number", "keys", "threshold", "issued", "expires"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """The keys that count now, how many are needed, and how many rotations led here."""

    keys: frozenset[PublicKey]
    threshold: int
    number: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= len(self.keys):
            raise SignatureError(
                f"a threshold of {self.threshold} cannot be met by {len(self.keys)} distinct keys", subject=_SUBJECT
            )

    @property
    def identity(self) -> str:
        """SHA-256 (64 hex digits) of this set: what the next rotation speaks of."""
        ids: list[object] = [*sorted(key.key_id for key in self.keys)]
        document: dict[str, object] = {"keys": ids, "threshold": self.threshold, "number": self.number}
        return hashlib.sha256(write_object(document)).hexdigest()


def rotation_payload(rule: str, old: KeySet, new: KeySet, issued: datetime, expires: datetime) -> bytes:
    """The statement that replaces `old` by `new` in `rule`; to be signed by the thresholds of both.

    Raises:
        ValueError: `new` does not follow `old`.
    """
    if new.number != old.number + 1:
        raise ValueError("rotations are numbered without gaps")
    predicate: dict[str, object] = {
        "number": new.number,
        "keys": [to_base64(key.der) for key in sorted(new.keys, key=lambda key: key.key_id)],
        "threshold": new.threshold,
        "issued": format_time(issued),
        "expires": format_time(expires),
    }
    return Statement(
        subjects={f"trust:{rule}": old.identity}, predicate_type=ROTATION_TYPE, predicate=predicate
    ).payload()


def current_keys(rule: TrustRule, rotations: Sequence[bytes], revoked: frozenset[str], now: datetime) -> KeySet:
    """The key set of `rule` after `rotations` (envelopes, in order), without the keys in `revoked`.

    Raises:
        SignatureError: a rotation is not accepted, or too few keys are left.
    """
    current, expires = KeySet(keys=rule.keys, threshold=rule.threshold), rule.expires
    for envelope in rotations:
        current, expires = _rotated(rule.name, current, envelope, revoked, now)
    if now >= expires:  # 4
        raise SignatureError(f"its keys expired at {format_time(expires)}", subject=f"trust {rule.name}",
                             remedy="renew the expiry in the policy, or sign a new rotation")  # fmt: skip
    left = _unrevoked(current.keys, revoked)
    if len(left) < current.threshold:
        raise SignatureError(
            f"{len(current.keys) - len(left)} of its {len(current.keys)} keys are revoked; "
            f"{current.threshold} signatures can no longer be had", subject=f"trust {rule.name}",
            remedy="list new keys in the policy",
        )  # fmt: skip
    return KeySet(keys=left, threshold=current.threshold, number=current.number)


def _unrevoked(keys: frozenset[PublicKey], revoked: frozenset[str]) -> frozenset[PublicKey]:
    return frozenset(key for key in keys if key.key_id not in revoked)


def _rotated(
    rule: str, old: KeySet, envelope: bytes, revoked: frozenset[str], now: datetime
) -> tuple[KeySet, datetime]:
    subject = f"trust {rule}, rotation {old.number + 1}"
    try:
        payload = verify(envelope, PAYLOAD_TYPE, _unrevoked(old.keys, revoked), old.threshold).payload  # 2
        new, expires = _parse(rule, old, payload, now)  # 1, 4
        verify(envelope, PAYLOAD_TYPE, _unrevoked(new.keys, revoked), new.threshold)  # 3
    except SignatureError as error:
        raise SignatureError(f"not accepted: {error.message}", subject=subject,
                             remedy="restore the file, or list the new keys in the policy") from None  # fmt: skip
    return new, expires


def _parse(rule: str, old: KeySet, payload: bytes, now: datetime) -> tuple[KeySet, datetime]:
    statement = parse_statement(payload, ROTATION_TYPE)
    predicate = dict(statement.predicate)
    only_keys(predicate, _KEYS, _SUBJECT)
    if dict(statement.subjects) != {f"trust:{rule}": old.identity}:
        raise SignatureError("speaks of another rule, or of other keys than these")
    if integer_of(predicate, "number", _SUBJECT) != old.number + 1:
        raise SignatureError("out of order")
    issued = parse_time(text_of(predicate, "issued", _SUBJECT), _SUBJECT)
    expires = parse_time(text_of(predicate, "expires", _SUBJECT), _SUBJECT)
    if issued > now + CLOCK_SKEW:
        raise SignatureError("not yet valid")
    keys = [PublicKey(from_base64(text, _SUBJECT)) for text in texts_of(predicate, "keys", _SUBJECT)]
    if len(set(keys)) != len(keys):
        raise SignatureError("a key is listed twice")
    threshold = integer_of(predicate, "threshold", _SUBJECT)
    return KeySet(keys=frozenset(keys), threshold=threshold, number=old.number + 1), expires
