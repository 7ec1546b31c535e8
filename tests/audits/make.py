"""Keys, records and stores for the tests of audits."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from typing import Any

from safe_remote_code.audits.clearing import Ledger, ledger
from safe_remote_code.audits.peers import Peer
from safe_remote_code.audits.records import Audit, AuditKey, Exemption, Trust, Violation
from safe_remote_code.audits.signed import sign_audit
from safe_remote_code.audits.store import AuditStore
from safe_remote_code.lockfile import LockedPackage
from safe_remote_code.signing.keys import PrivateKey, generate

TODAY = date(2026, 11, 23)
DAY = timedelta(days=1)


@cache
def private(name: str) -> PrivateKey:
    """One key for each name."""
    return generate()


def key(name: str, **fields: Any) -> AuditKey:
    """The public half of `private(name)`, as a record."""
    return AuditKey(name=name, public=private(name).public.pem, **fields)


def package(content: str = "a", source: str = "hub:org/model", commit: str | None = "1" * 40) -> LockedPackage:
    """A locked package of one file whose hash is made of `content`, one hex digit."""
    return LockedPackage(source=source, commit=commit, files={"modeling_x.py": content * 64},
                         entry_points=("modeling_x.X",))  # fmt: skip


def digest(content: str) -> str:
    """The digest of `package(content)`."""
    return package(content).digest


def audit(content: str = "a", base: str | None = None, *, by: tuple[str, ...] = (), **fields: Any) -> Audit:
    """An audit of `package(content)`, full or from `package(base)`, signed by the keys `by`."""
    values: dict[str, Any] = {"source": "hub:org/model", "criteria": ("safe-to-load",), "who": "Ann", "date": TODAY}
    made = Audit(digest=digest(content), base=digest(base) if base else None, **(values | fields))
    return sign_audit(made, [private(name) for name in by]) if by else made


def exemption(content: str = "a", **fields: Any) -> Exemption:
    """An exemption of `package(content)`."""
    values: dict[str, Any] = {"source": "hub:org/model", "criteria": ("safe-to-load",), "date": TODAY}
    return Exemption(digest=digest(content), **(values | fields))


def violation(content_digest: str) -> Violation:
    """A violation."""
    return Violation(digest=content_digest, who="Ann", why="sends tokens away", date=TODAY)


def trust(publisher: str = "hub:org/*", **fields: Any) -> Trust:
    """Trust for a month."""
    values: dict[str, Any] = {"criteria": ("safe-to-load",), "why": "our own", "date": TODAY, "until": TODAY + 30 * DAY}
    return Trust(publisher=publisher, **(values | fields))


def book(store: AuditStore | None = None, *peers: Peer, today: date = TODAY, **fields: Any) -> Ledger:
    """The ledger of `store` with `fields` replaced."""
    return ledger(replace(store or AuditStore(), **fields), peers, today)
