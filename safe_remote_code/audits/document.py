"""Reading an audit store or a peer's set strictly: every complaint names its place.

The number at the head (`records`) counts the tables below, so that a document cut off between two of
them is not taken for a shorter one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from pathlib import Path
from typing import TypeVar

from ..documents import Table, parse_toml, read_bytes
from ..errors import DocumentError, RefusedError
from .records import Audit, AuditKey, Criterion, Exemption, Import, Signature, Trust, Violation
from .store import AuditSet, AuditStore

_Record = TypeVar("_Record")


def _date(table: Table, key: str) -> date:
    value = table.get(key)
    if not isinstance(value, date) or isinstance(value, datetime):
        raise table.error(key, f"a date such as 2026-11-23, not {value!r:.80}")
    return value


def _maybe_date(table: Table, key: str) -> date | None:
    return _date(table, key) if key in table.values else None


def _maybe_text(table: Table, key: str) -> str | None:
    return table.text(key) if key in table.values else None


def _integer(table: Table, key: str) -> int:
    value = table.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise table.error(key, f"a number, not {value!r:.80}")
    return value


def _made(table: Table, make: Callable[..., _Record], **fields: object) -> _Record:
    """The record; `fields` were read from `table`, which holds nothing else."""
    table.done()
    try:
        return make(**fields)
    except (ValueError, RefusedError) as error:
        raise table.error("", str(error)) from None


def _criterion(table: Table) -> Criterion:
    return _made(table, Criterion, name=table.text("name"), implies=table.texts("implies"),
                 description=table.text("description"))  # fmt: skip


def _key(table: Table) -> AuditKey:
    return _made(
        table, AuditKey, name=table.text("name"), peer=table.text("peer", ""), revoked=_maybe_date(table, "revoked"),
        why=table.text("why", ""), public=table.text("public"),
    )  # fmt: skip


def _signatures(table: Table) -> tuple[Signature, ...]:
    return tuple(
        _made(entry, Signature, key=entry.text("key"), value=entry.text("value")) for entry in table.tables("signature")
    )


def _audit(table: Table) -> Audit:
    return _made(
        table, Audit, source=table.text("source"), commit=_maybe_text(table, "commit"), digest=table.text("digest"),
        base=_maybe_text(table, "delta_from"), criteria=table.texts("criteria", None), notes=table.text("notes", ""),
        who=table.text("who"), date=_date(table, "date"), signatures=_signatures(table),
    )  # fmt: skip


def _violation(table: Table) -> Violation:
    return _made(table, Violation, digest=table.text("digest"), who=table.text("who"), why=table.text("why"),
                 date=_date(table, "date"))  # fmt: skip


def _exemption(table: Table) -> Exemption:
    return _made(
        table, Exemption, source=table.text("source"), digest=table.text("digest"), notes=table.text("notes", ""),
        criteria=table.texts("criteria", None), until=_maybe_date(table, "until"), date=_date(table, "date"),
    )  # fmt: skip


def _trust(table: Table) -> Trust:
    return _made(table, Trust, publisher=table.text("publisher"), criteria=table.texts("criteria", None),
                 why=table.text("why"), until=_date(table, "until"), date=_date(table, "date"))  # fmt: skip


def _import(table: Table) -> Import:
    pairs = []
    for index, text in enumerate(table.texts("map")):
        theirs, equals, ours = text.partition("=")
        if not equals:
            raise table.error(f"map[{index}]", f"THEIRS=OURS, not {text!r:.80}")
        pairs.append((theirs, ours))
    return _made(
        table, Import, name=table.text("name"), origin=table.text("origin"), map=tuple(pairs),
        threshold=_integer(table, "threshold"), digest=table.text("digest"), signatures=_signatures(table),
    )  # fmt: skip


def _all(root: Table, key: str, read: Callable[[Table], _Record]) -> tuple[_Record, ...]:
    return tuple(read(table) for table in root.tables(key))


def _check_count(root: Table, records: Iterable[object]) -> None:
    counted = list(records)
    count = len(counted) + sum(len(getattr(record, "signatures", ())) for record in counted)
    if root.get("records") != count or isinstance(root.get("records"), bool):
        raise root.error("records", f"says {root.get('records')!r:.40}, but {count} follow",
                         "restore the file from version control, or count the [[tables]] that you added")  # fmt: skip


def parse_store(data: bytes, document: str) -> AuditStore:
    """Read an audit store.

    Raises:
        DocumentError: malformed, truncated, duplicated or contradictory; the place is named.
    """
    root = parse_toml(data, document)
    criteria, keys = _all(root, "criterion", _criterion), _all(root, "key", _key)
    audits, violations = _all(root, "audit", _audit), _all(root, "violation", _violation)
    exemptions, trusted = _all(root, "exemption", _exemption), _all(root, "trusted", _trust)
    imports = _all(root, "import", _import)
    _check_count(root, (*criteria, *keys, *audits, *violations, *exemptions, *trusted, *imports))
    return _made(
        root, AuditStore, required=root.texts("required", None), signatures=_integer(root, "signatures"),
        criteria=criteria, keys=keys, audits=audits, violations=violations, exemptions=exemptions, trusted=trusted,
        imports=imports,
    )  # fmt: skip


def parse_set(data: bytes, document: str) -> AuditSet:
    """Read the set that a peer published, or our own to publish.

    Raises:
        DocumentError: malformed, truncated, duplicated or contradictory; the place is named.
    """
    root = parse_toml(data, document)
    criteria, audits = _all(root, "criterion", _criterion), _all(root, "audit", _audit)
    violations = _all(root, "violation", _violation)
    _check_count(root, (*criteria, *audits, *violations))
    return _made(root, AuditSet, issued=root.text("issued"), criteria=criteria, audits=audits,
                 violations=violations)  # fmt: skip


def read_store(path: Path) -> AuditStore:
    """The store at `path`.

    Raises:
        DocumentError: absent, malformed or unreadable.
    """
    if not path.exists() and not path.is_symlink():
        raise DocumentError("there is no audit store here", subject=str(path), remedy="safe-remote-code init")
    return parse_store(read_bytes(path), str(path))
