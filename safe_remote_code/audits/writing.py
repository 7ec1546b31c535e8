"""The canonical text of stores and sets: same content, same bytes; a change to one record is a change to its lines.

In every table the last line is one that must be there, so that a document cut off inside a table is malformed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Final

from ..atomic import write_atomically
from .records import Audit, AuditKey, Criterion, Exemption, Import, Signature, Trust, Violation
from .store import AuditSet, AuditStore

_STORE_HEADER: Final = (
    "# Who reviewed the remote code of this project: written by `safe-remote-code certify`, `init` and `audits`.\n"
    "# Review a change to it like a change to code. `safe-remote-code check` is the command for CI.\n"
)
_SET_HEADER: Final = "# Audits that a project shares with others: written by `safe-remote-code audits export`.\n"
_Value = str | int | date | tuple[str, ...] | None


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    # What a reader of the file could not see, or what could reorder it, is spelt out (CVE-2021-42574).
    if char == " " or unicodedata.category(char)[0] not in "CZ":
        return char
    code = ord(char)
    return "\\n" if char == "\n" else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _quote(text: str) -> str:
    return f'"{"".join(map(_escaped, text))}"'


def _spell(value: _Value) -> str:
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_quote, value))}]"
    return value.isoformat() if isinstance(value, date) else str(value)


def _table(header: str, values: Mapping[str, _Value], signatures: Iterable[Signature] = ()) -> str:
    lines = [f"\n[[{header}]]\n"]
    lines += [f"{key} = {_spell(value)}\n" for key, value in values.items() if value not in (None, "", ())]
    for item in sorted(signatures, key=lambda signature: signature.key):
        lines.append(f"[[{header}.signature]]\nkey = {_quote(item.key)}\nvalue = {_quote(item.value)}\n")
    return "".join(lines)


def _criterion(item: Criterion) -> str:
    return _table("criterion", {"name": item.name, "implies": item.implies, "description": item.description})


def _key(item: AuditKey) -> str:
    values: dict[str, _Value] = {"name": item.name, "peer": item.peer, "revoked": item.revoked, "why": item.why}
    return _table("key", values | {"public": item.public})


def _audit(item: Audit) -> str:
    values: dict[str, _Value] = {
        "source": item.source, "commit": item.commit, "digest": item.digest, "delta_from": item.base,
        "criteria": item.criteria, "notes": item.notes, "who": item.who, "date": item.date,
    }  # fmt: skip
    return _table("audit", values, item.signatures)


def _violation(item: Violation) -> str:
    return _table("violation", {"digest": item.digest, "who": item.who, "why": item.why, "date": item.date})


def _exemption(item: Exemption) -> str:
    values: dict[str, _Value] = {
        "source": item.source, "digest": item.digest, "criteria": item.criteria, "notes": item.notes,
        "until": item.until, "date": item.date,
    }  # fmt: skip
    return _table("exemption", values)


def _trust(item: Trust) -> str:
    values: dict[str, _Value] = {
        "publisher": item.publisher, "criteria": item.criteria, "why": item.why, "until": item.until,
        "date": item.date,
    }  # fmt: skip
    return _table("trusted", values)


def _import(item: Import) -> str:
    pairs = tuple(sorted(f"{theirs}={ours}" for theirs, ours in item.map))
    values: dict[str, _Value] = {
        "name": item.name, "origin": item.origin, "threshold": item.threshold, "map": pairs, "digest": item.digest,
    }  # fmt: skip
    return _table("import", values, item.signatures)


def _document(header: str, head: Mapping[str, _Value], tables: list[str]) -> str:
    body = "".join(tables)
    lines = "".join(f"{key} = {_spell(value)}\n" for key, value in head.items())
    return f"{header}format = 1\nrecords = {body.count(chr(10) + '[[')}\n{lines}{body}"


def format_store(store: AuditStore) -> str:
    """The canonical text of `store`."""
    tables = [
        *map(_criterion, store.criteria), *map(_key, store.keys), *map(_audit, store.audits),
        *map(_violation, store.violations), *map(_exemption, store.exemptions), *map(_trust, store.trusted),
        *map(_import, store.imports),
    ]  # fmt: skip
    return _document(_STORE_HEADER, {"required": store.required, "signatures": store.signatures}, tables)


def format_set(shared: AuditSet) -> str:
    """The canonical text of `shared`, which is what its publisher signs."""
    tables = [
        *map(_criterion, shared.criteria), *map(_audit, shared.audits), *map(_violation, shared.violations),
    ]  # fmt: skip
    return _document(_SET_HEADER, {"issued": shared.issued}, tables)


def write_store(store: AuditStore, path: Path) -> None:
    """Write `store` to `path` atomically.

    Raises:
        DocumentError: the folder cannot be written.
    """
    write_atomically(path, format_store(store).encode("utf-8"))
