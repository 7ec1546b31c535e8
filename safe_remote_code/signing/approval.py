"""An approval: the signed statement that one lock entry is good, in which version, from when until when.

Guarantee: an `Approval` names exactly one package: its source, commit, digest, entry points and
capabilities, so that a signature over one repository's entry, or over an entry with fewer rights, says
nothing about another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from ..errors import SignatureError
from .statements import Statement, parse_statement
from .strict_json import integer_of, only_keys, text_of, texts_of
from .times import format_time, parse_time

if TYPE_CHECKING:
    from datetime import datetime

APPROVAL_TYPE: Final = "urn:safe-remote-code:approval:1"
_SUBJECT: Final = "approval"
_KEYS: Final = frozenset({"commit", "entryPoints", "capabilities", "version", "issued", "expires"})
#: Versions are counted by people and tools; a jump to the end would leave no room for the next one.
MAX_VERSION: Final = 2**31 - 1


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """`source` at `commit` with the content `digest` (`sha256:...`) is approved, as `version` of it."""

    source: str
    commit: str | None
    digest: str
    entry_points: tuple[str, ...]
    capabilities: tuple[str, ...]
    version: int
    issued: datetime
    expires: datetime

    def __post_init__(self) -> None:
        if not self.digest.startswith("sha256:") or not self.entry_points:
            raise SignatureError("an approval names a digest and entry points", subject=_SUBJECT)
        if not 1 <= self.version <= MAX_VERSION:
            raise SignatureError(f"a version is between 1 and {MAX_VERSION}", subject=_SUBJECT)
        if self.issued >= self.expires:
            raise SignatureError("expires before it was issued", subject=_SUBJECT)
        for names in (self.entry_points, self.capabilities):
            if list(names) != sorted(set(names)):
                raise SignatureError("entry points and capabilities are sorted, each once", subject=_SUBJECT)

    def payload(self) -> bytes:
        """The canonical bytes, which are signed."""
        predicate: dict[str, object] = {
            "commit": self.commit or "",
            "entryPoints": list(self.entry_points),
            "capabilities": list(self.capabilities),
            "version": self.version,
            "issued": format_time(self.issued),
            "expires": format_time(self.expires),
        }
        subjects = {self.source: self.digest.removeprefix("sha256:")}
        return Statement(subjects=subjects, predicate_type=APPROVAL_TYPE, predicate=predicate).payload()


def parse_approval(payload: bytes) -> Approval:
    """The approval that `payload` is.

    Raises:
        SignatureError: malformed, of another type, or of more than one subject.
    """
    statement = parse_statement(payload, APPROVAL_TYPE)
    predicate = dict(statement.predicate)
    only_keys(predicate, _KEYS, _SUBJECT)
    if len(statement.subjects) != 1:
        raise SignatureError("speaks of several packages", subject=_SUBJECT)
    [(source, digest)] = statement.subjects.items()
    return Approval(
        source=source,
        commit=text_of(predicate, "commit", _SUBJECT) or None,
        digest=f"sha256:{digest}",
        entry_points=texts_of(predicate, "entryPoints", _SUBJECT),
        capabilities=texts_of(predicate, "capabilities", _SUBJECT),
        version=integer_of(predicate, "version", _SUBJECT),
        issued=parse_time(text_of(predicate, "issued", _SUBJECT), _SUBJECT),
        expires=parse_time(text_of(predicate, "expires", _SUBJECT), _SUBJECT),
    )
