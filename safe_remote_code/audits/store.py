"""What a project knows about reviews (`AuditStore`), and what it shares with others (`AuditSet`).

Guarantee: no record is there twice, every criterion that is named is defined, and where keys of our own
are listed at least one signature is demanded, so that an audit cannot be smuggled in by leaving it unsigned.
Records are in canonical order whatever order they came in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, final

from .records import (
    SHARED_CRITERIA,
    Audit,
    AuditKey,
    Criterion,
    Exemption,
    Import,
    Trust,
    Violation,
)

DEFAULT_STORE: Final = "remote-code-audits.toml"
_Record = TypeVar("_Record")


def closure(criteria: Iterable[str], defined: Iterable[Criterion]) -> frozenset[str]:
    """`criteria` and all that they imply."""
    implies = {item.name: item.implies for item in (*SHARED_CRITERIA, *defined)}
    found: set[str] = set()
    waiting = list(criteria)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += implies.get(name, ())
    return frozenset(found)


def _sorted(records: tuple[_Record, ...], what: str, key: Any) -> tuple[_Record, ...]:
    ordered = tuple(sorted(records, key=key))
    for first, second in zip(ordered, ordered[1:], strict=False):
        if key(first) == key(second):
            raise ValueError(f"{what} is there twice: {key(first)!r:.200}")
    return ordered


def _check_defined(criteria: tuple[Criterion, ...], used: Iterable[str]) -> None:
    shared = {item.name for item in SHARED_CRITERIA}
    known = shared | {item.name for item in criteria}
    for item in criteria:
        if item.name in shared:
            raise ValueError(f"{item.name} means the same everywhere, and is not defined again")
    for name in (*used, *(name for item in criteria for name in item.implies)):
        if name not in known:
            raise ValueError(f"the criterion {name!r} is not defined; known: {', '.join(sorted(known))}")


def _named(records: Iterable[Audit | Exemption | Trust]) -> Iterable[str]:
    return (name for record in records for name in record.criteria)


def _by_name(record: Criterion | AuditKey | Import) -> str:
    return record.name


def _by_content(record: Violation) -> tuple[object, ...]:
    return (record.digest, record.date, record.who)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSet:
    """What one project publishes for others. `issued` (RFC 3339, UTC) orders two sets of the same project."""

    issued: str
    criteria: tuple[Criterion, ...] = ()
    audits: tuple[Audit, ...] = ()
    violations: tuple[Violation, ...] = ()

    def __post_init__(self) -> None:
        for name, key in (("criteria", _by_name), ("audits", lambda audit: audit.said), ("violations", _by_content)):
            object.__setattr__(self, name, _sorted(getattr(self, name), f"one of the {name}", key))
        _check_defined(self.criteria, _named(self.audits))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AuditStore:
    """The store of one project.

    `required`: the criteria that everything in the lock must meet. `signatures`: how many distinct keys must
    have signed an audit of our own for it to count; zero only while no key of our own is listed.
    """

    required: tuple[str, ...] = ("safe-to-load",)
    signatures: int = 0
    criteria: tuple[Criterion, ...] = ()
    keys: tuple[AuditKey, ...] = ()
    audits: tuple[Audit, ...] = ()
    violations: tuple[Violation, ...] = ()
    exemptions: tuple[Exemption, ...] = ()
    trusted: tuple[Trust, ...] = ()
    imports: tuple[Import, ...] = ()

    def __post_init__(self) -> None:
        if not self.required or list(self.required) != sorted(set(self.required)):
            raise ValueError("at least one criterion is required; they are sorted, each once")
        for name, key in _ORDER.items():
            object.__setattr__(self, name, _sorted(getattr(self, name), f"one of the {name}", key))
        _sorted(self.keys, "a public key", lambda key: (key.peer, key.public))
        _check_defined(self.criteria, (*self.required, *_named((*self.audits, *self.exemptions, *self.trusted))))
        own = [key for key in self.keys if not key.peer]
        if isinstance(self.signatures, bool) or not 0 <= self.signatures <= len(own):
            raise ValueError(f"{self.signatures} signatures can never be met by the {len(own)} keys that are listed")
        if own and not self.signatures:
            raise ValueError("keys are listed, so at least one signature is required: an unsigned audit would count")
        names = {item.name for item in self.imports}
        for key in self.keys:
            if key.peer and key.peer not in names:
                raise ValueError(f"the key {key.name} is of the peer {key.peer}, of which nothing is imported")

    def meets(self, criteria: Iterable[str]) -> frozenset[str]:
        """`criteria` and all that they imply here."""
        return closure(criteria, self.criteria)


_ORDER: Final[dict[str, Any]] = {
    "criteria": _by_name,
    "keys": _by_name,
    "audits": lambda audit: audit.said,
    "violations": _by_content,
    "exemptions": lambda item: (item.source, item.digest, item.criteria),
    "trusted": lambda item: (item.publisher, item.criteria),
    "imports": _by_name,
}
