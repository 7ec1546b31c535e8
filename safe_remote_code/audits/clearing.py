"""Is this content cleared: a chain of records from nothing to its digest, for each criterion.

Proof, whose numbers the code repeats:

1. nobody recorded that the content, or a file of it, is bad; this is asked first and wins;
2. the chain starts with a full audit, an exemption, or trust in the publisher, and goes on by deltas, each
   from exactly the content where the one before ended; content that is bad is no station of a chain;
3. each link meets the criterion, itself or by implication;
4. each link counts today: enough distinct keys signed it, and it has not ended;
5. nothing that is required is left out: every criterion has its chain.
"""

from __future__ import annotations

import datetime
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, final

from ..errors import NotClearedError, ViolationError
from ..lockfile import LockedPackage
from .peers import Peer
from .records import Audit, Violation
from .signed import counted_keys, signers_of_audit
from .store import AuditStore, closure

Kind = Literal["audit", "delta", "exemption", "trust"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One record that counts today: it brings `digest` under `criteria`, from `base` (None: from nothing)."""

    kind: Kind
    digest: str
    base: str | None
    criteria: frozenset[str]
    by: str
    date: datetime.date
    until: datetime.date | None = None

    def __str__(self) -> str:
        what = {"audit": "full review", "delta": "review of the change", "exemption": "exempted, unreviewed",
                "trust": "trusted publisher, unreviewed"}[self.kind]  # fmt: skip
        end = f", until {self.until}" if self.until else ""
        return f"{what}: {self.by}, {self.date}{end}"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """`package` is cleared; for each required criterion, the chain that clears it, first link first."""

    package: LockedPackage
    chains: Mapping[str, tuple[Link, ...]]

    def __post_init__(self) -> None:
        for chain in self.chains.values():
            stations = [None, *(link.digest for link in chain)]
            if not chain or stations[-1] != self.package.digest or [link.base for link in chain] != stations[:-1]:
                raise ValueError("a chain leads from nothing to the content")
        if not self.chains:
            raise ValueError("cleared for nothing")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Everything that counts on the day `today`, from the store and from its peers."""

    store: AuditStore
    links: tuple[Link, ...] = field(repr=False)
    violations: Mapping[str, Violation] = field(repr=False)
    today: datetime.date

    def clear(self, package: LockedPackage) -> Cleared:
        """`package` with the chains that clear it for all that the store requires.

        Raises:
            ViolationError: it is bad. NotClearedError: a criterion has no chain.
        """
        self.check_violations(package)  # 1
        reached = {name: self._reach(name, package) for name in self.store.required}
        open_criteria = [name for name, found in reached.items() if package.digest not in found]
        if open_criteria:  # 5
            raise NotClearedError(f"nothing clears this content as {', '.join(open_criteria)}", subject=package.source)
        chains = {name: _chain(found, package.digest) for name, found in reached.items()}
        return Cleared(package=package, chains=chains)

    def check_violations(self, package: LockedPackage) -> None:
        """Return if nobody recorded that `package` or one of its files is bad.

        Raises:
            ViolationError: somebody did.
        """
        places = {package.digest: "this content"}
        places |= {f"sha256:{digest}": path for path, digest in package.files.items()}
        for digest, what in sorted(places.items()):
            if (bad := self.violations.get(digest)) is not None:
                raise ViolationError(f"{what} is bad: {bad.why} ({bad.who}, {bad.date})", subject=package.source,
                                     remedy="do not load it; pin a version without it")  # fmt: skip

    def cleared_contents(self) -> frozenset[str]:
        """Digests that are cleared for all that the store requires: what a delta may start from."""
        found = [frozenset(self._reach(name, None)) for name in self.store.required]
        return frozenset.intersection(*found)

    def _reach(self, criterion: str, package: LockedPackage | None) -> dict[str, Link]:
        """Each content that a shortest chain of `criterion` reaches, with the last link of that chain."""
        counting = [link for link in self.links if criterion in link.criteria]  # 3
        counting += _trusted(self, criterion, package)
        by_base: dict[str | None, list[Link]] = {}
        for link in counting:
            by_base.setdefault(link.base, []).append(link)
        reached: dict[str, Link] = {}
        waiting: deque[str | None] = deque([None])
        while waiting:
            for link in by_base.get(waiting.popleft(), []):  # 2
                if link.digest not in reached and link.digest not in self.violations:
                    reached[link.digest] = link
                    waiting.append(link.digest)
        return reached


def ledger(store: AuditStore, peers: Iterable[Peer], today: datetime.date) -> Ledger:
    """What counts `today` of `store` and its `peers`.

    Raises:
        SignatureError: a key in the store is none.
    """
    known = tuple(peers)
    links = [*_own_audits(store), *_exemptions(store, today)]
    for peer in known:
        links += _peer_audits(store, peer)
    bad = [*store.violations, *(violation for peer in known for violation in peer.shared.violations)]
    rank = {"audit": 0, "delta": 1, "trust": 2, "exemption": 3}
    return Ledger(
        store=store,
        # Reviews before what was not reviewed, so that a chain of equal length says the most.
        links=tuple(sorted(links, key=lambda link: (rank[link.kind], link.digest, link.base or "", link.by))),
        violations={violation.digest: violation for violation in bad},
        today=today,
    )


def _chain(reached: Mapping[str, Link], digest: str) -> tuple[Link, ...]:
    chain = [reached[digest]]
    while chain[0].base is not None:
        chain.insert(0, reached[chain[0].base])
    return tuple(chain)


def _own_audits(store: AuditStore) -> Iterable[Link]:
    """One link for each reviewed step and the criteria that enough distinct keys of ours vouch for."""
    keys = counted_keys(store.keys)
    steps: dict[tuple[str, str | None], list[tuple[Audit, frozenset[str]]]] = {}
    for audit in store.audits:
        steps.setdefault((audit.digest, audit.base), []).append((audit, signers_of_audit(audit, keys)))
    for (digest, base), records in steps.items():
        met = frozenset(
            name
            for name in frozenset().union(*(store.meets(audit.criteria) for audit, _ in records))
            if len(_vouching(store, name, records)) >= store.signatures  # 4
        )
        if met:
            yield _link(digest, base, met, records, store.signatures)


def _vouching(store: AuditStore, criterion: str, records: list[tuple[Audit, frozenset[str]]]) -> frozenset[str]:
    signers = (signed for audit, signed in records if criterion in store.meets(audit.criteria))
    return frozenset().union(*signers)


def _link(
    digest: str, base: str | None, criteria: frozenset[str], records: list[tuple[Audit, frozenset[str]]], needed: int
) -> Link:
    by = [
        f"{audit.who} (signed: {', '.join(sorted(signed))})" if signed else audit.who
        for audit, signed in records
        if signed or not needed
    ]
    latest = max(audit.date for audit, _ in records)
    return Link(kind="delta" if base else "audit", digest=digest, base=base, criteria=criteria,
                by="; ".join(sorted(set(by))), date=latest)  # fmt: skip


def _peer_audits(store: AuditStore, peer: Peer) -> Iterable[Link]:
    if peer.refused:  # 4
        return
    renamed = dict(peer.pinned.map)
    own = {item.name for item in peer.shared.criteria}
    for audit in peer.shared.audits:
        theirs = closure(audit.criteria, peer.shared.criteria)
        # A criterion that the peer defined itself means nothing here until somebody mapped it.
        ours = {renamed[name] if name in renamed else name for name in theirs if name in renamed or name not in own}
        yield Link(kind="delta" if audit.base else "audit", digest=audit.digest, base=audit.base,
                   criteria=store.meets(ours), by=f"{audit.who} of {peer.pinned.name}", date=audit.date)  # fmt: skip


def _exemptions(store: AuditStore, today: datetime.date) -> Iterable[Link]:
    for item in store.exemptions:
        if item.until is None or today <= item.until:  # 4
            yield Link(kind="exemption", digest=item.digest, base=None, criteria=store.meets(item.criteria),
                       by=item.notes or "in use before it was reviewed", date=item.date, until=item.until)  # fmt: skip


def _trusted(book: Ledger, criterion: str, package: LockedPackage | None) -> list[Link]:
    """Trust is in who released a commit, so it speaks of a package of the Hub and never of content alone."""
    if package is None or package.commit is None:
        return []
    return [
        Link(kind="trust", digest=package.digest, base=None, criteria=book.store.meets(item.criteria),
             by=f"{item.publisher}: {item.why}", date=item.date, until=item.until)
        for item in book.store.trusted
        if item.covers(package.source) and item.date <= book.today <= item.until
        if criterion in book.store.meets(item.criteria)
    ]  # fmt: skip
