"""The records of an audit store, each a value that checks what it claims.

* a criterion: what a reviewer vouches for; one may imply others;
* a key: whose signatures count, for our own audits or for the set of one peer; `revoked` once, for ever;
* an audit: who reviewed which content, in full or as a delta from other content;
* a violation: this content is bad;
* an exemption: in use before anybody reviewed it;
* trust: whatever one publisher on the Hub releases, until an end date;
* an import: which set of a peer is pinned here, and under which signatures.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Final, final

from ..reference import is_commit
from ..snapshot import is_digest

#: Names of criteria, keys and peers: also file names and TOML keys.
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_KEY_ID: Final = re.compile(r"[0-9a-f]{64}")
#: A publisher on the Hub is `hub:OWNER/...`; the name of a directory says nothing about who wrote it.
_PUBLISHER: Final = re.compile(r"hub:((datasets|spaces)/)?[A-Za-z0-9][\w.-]{0,95}/(\*|[\w.-]{1,96})", re.ASCII)
#: What cargo-vet allows at most by default: a year, so that somebody looks again.
MAX_TRUST: Final = datetime.timedelta(days=366)
_MAX_TEXT_CHARS: Final = 10_000


def check_name(name: str) -> str:
    """Return `name` if it is lower-case letters, digits and hyphens, at most 64.

    Raises:
        ValueError: it is not.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"a name is lower-case letters, digits and -, not {name!r:.80}")
    return name


def _check_text(text: str, what: str, *, lines: bool = False, empty: bool = False) -> None:
    allowed = "\n" if lines else ""
    if any((ord(char) < 32 and char not in allowed) or 0xD800 <= ord(char) < 0xE000 for char in text):
        raise ValueError(f"{what} holds a control character")
    if len(text) > _MAX_TEXT_CHARS or not (empty or text.strip()):
        raise ValueError(f"{what} is 1 to {_MAX_TEXT_CHARS} characters of text")


def _check_digest(text: str, what: str) -> None:
    if not is_digest(text):
        raise ValueError(f"{what} is sha256: and 64 hex digits, not {text!r:.80}")


def _check_criteria(criteria: tuple[str, ...]) -> None:
    if not criteria or list(criteria) != sorted({check_name(name) for name in criteria}):
        raise ValueError("criteria are one or more names, sorted, each once")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """What a reviewer who names it vouches for."""

    name: str
    description: str
    implies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name)
        _check_text(self.description, "a description", lines=True)
        for name in self.implies:
            check_name(name)


#: These mean the same in every project, so that audits can be shared.
SHARED_CRITERIA: Final = (
    Criterion(
        name="safe-to-load",
        description="Importing the code, constructing its classes and running them on one's own inputs does nothing "
        "but compute: no reads, writes, connections or processes that a user would not expect of this model.",
    ),
    Criterion(
        name="safe-to-serve",
        description="Safe to load, and inputs of strangers cannot make it read, write, connect, run code, or use "
        "time and memory out of proportion.",
        implies=("safe-to-load",),
    ),
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AuditKey:
    """A public key (PEM) whose signatures count: for our own audits, or for the set of `peer`."""

    name: str
    public: str
    peer: str = ""
    revoked: datetime.date | None = None
    why: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.peer:
            check_name(self.peer)
        _check_text(self.public, "a public key", lines=True)
        if self.revoked is not None:
            _check_text(self.why, "a revocation says why, which")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature as text: the id of the key that is said to have made it, and base64."""

    key: str
    value: str

    def __post_init__(self) -> None:
        if not _KEY_ID.fullmatch(self.key):
            raise ValueError("a key id is 64 hex digits")
        if not self.value or not self.value.isascii() or len(self.value) > 2000:
            raise ValueError("a signature is base64")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """`who` reviewed the content `digest` and found `criteria` met; only what differs from `base`, if given."""

    source: str
    digest: str
    criteria: tuple[str, ...]
    who: str
    date: datetime.date
    base: str | None = None
    commit: str | None = None
    notes: str = ""
    signatures: tuple[Signature, ...] = ()

    def __post_init__(self) -> None:
        _check_text(self.source, "a source")
        _check_text(self.who, "who")
        _check_text(self.notes, "notes", lines=True, empty=True)
        _check_digest(self.digest, "a digest")
        _check_criteria(self.criteria)
        if self.base is not None:
            _check_digest(self.base, "the content that a delta starts from")
            if self.base == self.digest:
                raise ValueError("a delta from content to itself reviews nothing")
        if self.commit is not None and not is_commit(self.commit):
            raise ValueError("a commit is 40 hex digits")
        if len({signature.key for signature in self.signatures}) != len(self.signatures):
            raise ValueError("a key signs an audit once")
        object.__setattr__(self, "signatures", tuple(sorted(self.signatures, key=lambda item: item.key)))

    @property
    def said(self) -> tuple[object, ...]:
        """Everything but the signatures: what makes two records the same."""
        return (self.source, self.digest, self.base or "", self.date, self.who, self.criteria, self.notes,
                self.commit or "")  # fmt: skip


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """The content `digest`, a package or one file, is bad, wherever it appears."""

    digest: str
    who: str
    why: str
    date: datetime.date

    def __post_init__(self) -> None:
        _check_digest(self.digest, "a digest")
        _check_text(self.who, "who")
        _check_text(self.why, "a violation says why, which", lines=True)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """The content `digest` was in use on `date`, unreviewed; it counts as `criteria`, through the day `until`."""

    source: str
    digest: str
    criteria: tuple[str, ...]
    date: datetime.date
    until: datetime.date | None = None
    notes: str = ""

    def __post_init__(self) -> None:
        _check_text(self.source, "a source")
        _check_text(self.notes, "notes", lines=True, empty=True)
        _check_digest(self.digest, "a digest")
        _check_criteria(self.criteria)
        if self.until is not None and self.until < self.date:
            raise ValueError("an exemption does not end before it begins")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What `publisher` releases on the Hub counts as `criteria`, unread, from `date` through the day `until`."""

    publisher: str
    criteria: tuple[str, ...]
    why: str
    date: datetime.date
    until: datetime.date

    def __post_init__(self) -> None:
        if not _PUBLISHER.fullmatch(self.publisher):
            raise ValueError(f"a publisher is hub:OWNER/* or hub:OWNER/NAME, not {self.publisher!r:.80}")
        _check_criteria(self.criteria)
        _check_text(self.why, "trust says why, which", lines=True)
        if not self.date <= self.until <= self.date + MAX_TRUST:
            raise ValueError(f"trust ends on a day within {MAX_TRUST.days} days of its beginning")

    def covers(self, source: str) -> bool:
        """Whether `source` is of this publisher."""
        if self.publisher.endswith("/*"):
            return source.startswith(self.publisher[:-1])
        return source == self.publisher


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """The set of the peer `name`, pinned by the SHA-256 of its text; `map` turns criteria of theirs into ours."""

    name: str
    origin: str
    digest: str
    threshold: int
    signatures: tuple[Signature, ...]
    map: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name)
        _check_text(self.origin, "an origin")
        _check_digest(self.digest, "a digest")
        if isinstance(self.threshold, bool) or not 1 <= self.threshold <= len(self.signatures):
            raise ValueError("a set is imported with at least one signature, and no fewer than its threshold")
        object.__setattr__(self, "signatures", tuple(sorted(self.signatures, key=lambda item: item.key)))
        object.__setattr__(self, "map", tuple(sorted(self.map)))
        if len({theirs for theirs, _ in self.map}) != len(self.map):
            raise ValueError("a criterion is mapped once")
        for pair in self.map:
            for name in pair:
                check_name(name)
