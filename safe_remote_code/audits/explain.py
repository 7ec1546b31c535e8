"""Why records about some content do not count: what a person needs to know who expected them to."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator

from .peers import Peer
from .signed import counted_keys, signers_of_audit
from .store import AuditStore


def discounted(store: AuditStore, peers: Iterable[Peer], digest: str, today: datetime.date) -> Iterator[str]:
    """A line for each record of `digest` that counts for less than it says.

    Raises:
        SignatureError: a key in the store is none.
    """
    keys, revoked = counted_keys(store.keys), {key.name for key in store.keys if key.revoked is not None}
    for audit in store.audits:
        if audit.digest == digest and len(signed := signers_of_audit(audit, keys)) < store.signatures:
            why = f"; revoked: {', '.join(sorted(revoked))}" if revoked else ""
            yield (f"the audit of {audit.who}, {audit.date}, is signed by {len(signed)} keys that count, "
                   f"of {store.signatures} needed{why}")  # fmt: skip
    for item in store.exemptions:
        if item.digest == digest and item.until is not None and item.until < today:
            yield f"its exemption ended on {item.until}"
    for peer in peers:
        if peer.refused and any(audit.digest == digest for audit in peer.shared.audits):
            yield f"the audits of {peer.pinned.name} count for nothing: {peer.refused}"
    for trust in store.trusted:
        if trust.until < today:
            yield f"the trust in {trust.publisher} ended on {trust.until}"
