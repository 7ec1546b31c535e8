"""in-toto statements (https://in-toto.io/Statement/v1): what a signature says, about which content.

Guarantee: a `Statement` names at least one subject by digest, is of exactly one predicate type, and was
read strictly. The predicate type separates what one key may say: an audit is never read as an approval.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from ..errors import SignatureError
from ..limits import MAX_ENVELOPE_BYTES
from .strict_json import list_of, object_of, only_keys, read_object, text_of, write_object

if TYPE_CHECKING:
    from collections.abc import Mapping

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
_STATEMENT_KEYS: Final = frozenset({"_type", "subject", "predicateType", "predicate"})
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SUBJECT: Final = "statement"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A predicate about subjects; `subjects` maps each name to its SHA-256 (64 hex digits)."""

    subjects: Mapping[str, str]
    predicate_type: str
    predicate: Mapping[str, object]

    def __post_init__(self) -> None:
        if not self.subjects:
            raise SignatureError("speaks of nothing", subject=_SUBJECT)
        for name, digest in self.subjects.items():
            if not name or not _SHA256.fullmatch(digest):
                raise SignatureError(f"{name!r:.80}: a subject has a name and a SHA-256", subject=_SUBJECT)

    def payload(self) -> bytes:
        """The canonical bytes, which are signed."""
        subject: list[object] = [
            {"name": name, "digest": {"sha256": self.subjects[name]}} for name in sorted(self.subjects)
        ]
        return write_object(
            {
                "_type": _STATEMENT_TYPE,
                "subject": subject,
                "predicateType": self.predicate_type,
                "predicate": dict(self.predicate),
            }
        )


def parse_statement(payload: bytes, predicate_type: str) -> Statement:
    """The statement of type `predicate_type` that `payload` is.

    Raises:
        SignatureError: malformed, or of another type.
    """
    value = read_object(payload, _SUBJECT, MAX_ENVELOPE_BYTES)
    only_keys(value, _STATEMENT_KEYS, _SUBJECT)
    if text_of(value, "_type", _SUBJECT) != _STATEMENT_TYPE:
        raise SignatureError("not an in-toto statement of version 1", subject=_SUBJECT)
    found = text_of(value, "predicateType", _SUBJECT)
    if found != predicate_type:
        raise SignatureError(f"says something else: {found!r:.120}, not {predicate_type}", subject=_SUBJECT)
    return Statement(subjects=_subjects(value), predicate_type=found, predicate=object_of(value, "predicate", _SUBJECT))


def _subjects(value: dict[str, object]) -> dict[str, str]:
    subjects: dict[str, str] = {}
    for entry in list_of(value, "subject", _SUBJECT):
        if not isinstance(entry, dict):
            raise SignatureError("a subject must be an object", subject=_SUBJECT)
        name = text_of(entry, "name", _SUBJECT)
        if name in subjects:
            raise SignatureError(f"{name!r:.80} is a subject twice", subject=_SUBJECT)
        subjects[name] = text_of(object_of(entry, "digest", _SUBJECT), "sha256", _SUBJECT)
    return subjects
