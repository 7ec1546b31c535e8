"""What clears content, and what does not: chains, criteria, dates, signatures, violations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from audits.make import DAY, TODAY, audit, book, digest, exemption, key, package, private, trust, violation
from safe_remote_code.audits.records import Audit, AuditKey, Criterion
from safe_remote_code.audits.store import AuditStore
from safe_remote_code.errors import NotClearedError, SignatureError, ViolationError

ANN, BOB = key("ann"), key("bob")
SERVE = ("safe-to-serve",)
OWN = Criterion(name="licensed", description="its licence was read")
HOUSE = Criterion(name="house-rules", description="all of ours", implies=("licensed", "safe-to-serve"))

CLEARED: dict[str, dict[str, Any]] = {
    "a full review": {"audits": (audit("a"),)},
    "a review and a delta": {"audits": (audit("b"), audit("a", "b"))},
    "two deltas": {"audits": (audit("c"), audit("b", "c"), audit("a", "b"))},
    "a delta from an exemption": {"exemptions": (exemption("b"),), "audits": (audit("a", "b"),)},
    "an exemption on its last day": {"exemptions": (exemption("a", until=TODAY),)},
    "an exemption without an end": {"exemptions": (exemption("a", date=TODAY - 999 * DAY),)},
    "a criterion that implies the required one": {"audits": (audit("a", criteria=SERVE),)},
    "a criterion of ours that implies it by two steps": {
        "criteria": (OWN, HOUSE), "audits": (audit("a", criteria=("house-rules",)),)},
    "links that meet it in different ways": {"audits": (audit("b", criteria=SERVE), audit("a", "b"))},
    "two criteria by two reviews": {
        "criteria": (OWN,), "required": ("licensed", "safe-to-load"),
        "audits": (audit("a"), audit("a", criteria=("licensed",), who="Bob"))},
    "trust in the publisher": {"trusted": (trust(),)},
    "trust in one repository": {"trusted": (trust("hub:org/model"),)},
    "trust on its last day": {"trusted": (trust(date=TODAY - 30 * DAY, until=TODAY),)},
    "one signature": {"keys": (ANN,), "signatures": 1, "audits": (audit("a", by=("ann",)),)},
    "two signatures on one audit": {"keys": (ANN, BOB), "signatures": 2, "audits": (audit("a", by=("ann", "bob")),)},
    "two reviewers, a signature each": {
        "keys": (ANN, BOB), "signatures": 2, "audits": (audit("a", by=("ann",)), audit("a", by=("bob",), who="Bob"))},
    "one of two signatures revoked, the other enough": {
        "keys": (ANN, replace(BOB, revoked=TODAY, why="lost")), "signatures": 1,
        "audits": (audit("a", by=("ann", "bob")),)},
    "a longer chain round bad content": {
        "audits": (audit("b"), audit("a", "b"), audit("c"), audit("a", "c")), "violations": (violation(digest("b")),)},
}  # fmt: skip

OPEN: dict[str, dict[str, Any]] = {
    "an empty store": {},
    "a review of other content": {"audits": (audit("b"),)},
    "a delta from content that nobody reviewed": {"audits": (audit("a", "b"),)},
    "a delta the other way": {"audits": (audit("b"), audit("b", "a"))},
    "deltas in a circle": {"audits": (audit("a", "b"), audit("b", "a"))},
    "a delta from an exemption that has ended": {
        "exemptions": (exemption("b", date=TODAY - 9 * DAY, until=TODAY - DAY),), "audits": (audit("a", "b"),)},
    "an exemption that has ended": {"exemptions": (exemption("a", date=TODAY - 9 * DAY, until=TODAY - DAY),)},
    "a criterion that implies nothing": {"criteria": (OWN,), "audits": (audit("a", criteria=("licensed",)),)},
    "the implied criterion for the stronger": {"required": SERVE, "audits": (audit("a"),)},
    "a chain whose delta is weaker": {"required": SERVE, "audits": (audit("b", criteria=SERVE), audit("a", "b"))},
    "one of two required criteria": {
        "criteria": (OWN,), "required": ("licensed", "safe-to-load"), "audits": (audit("a"),)},
    "trust that has ended": {"trusted": (trust(date=TODAY - 30 * DAY, until=TODAY - DAY),)},
    "trust that has not begun": {"trusted": (trust(date=TODAY + DAY, until=TODAY + 9 * DAY),)},
    "trust in a publisher whose name only begins alike": {"trusted": (trust("hub:or/*"), trust("hub:organ/*"))},
    "trust in another repository": {"trusted": (trust("hub:org/model2"), trust("hub:org/mode"))},
    "an audit without a signature where one is needed": {"keys": (ANN,), "signatures": 1, "audits": (audit("a"),)},
    "a signature by a key that is not listed": {
        "keys": (ANN,), "signatures": 1, "audits": (audit("a", by=("bob",)),)},
    "a signature by a key of a peer": {
        "keys": (ANN, replace(BOB, peer="acme")), "signatures": 1, "audits": (audit("a", by=("bob",)),)},
    "a revoked key": {
        "keys": (replace(ANN, revoked=TODAY, why="lost"), BOB), "signatures": 1, "audits": (audit("a", by=("ann",)),)},
    "a key that was revoked after the date of the audit": {
        "keys": (replace(ANN, revoked=TODAY, why="lost"), BOB), "signatures": 1,
        "audits": (audit("a", by=("ann",), date=TODAY - 99 * DAY),)},
    "two signatures of which one is revoked": {
        "keys": (ANN, replace(BOB, revoked=TODAY, why="lost")), "signatures": 2,
        "audits": (audit("a", by=("ann", "bob")),)},
    "one key in two audits, counted twice": {
        "keys": (ANN, BOB), "signatures": 2,
        "audits": (audit("a", by=("ann",)), audit("a", by=("ann",), who="Ann again"))},
    "two reviewers of different steps": {
        "keys": (ANN, BOB), "signatures": 2,
        "audits": (audit("b", by=("ann", "bob")), audit("a", by=("ann",)), audit("a", "b", by=("bob",)))},
    "a second signature under a weaker criterion": {
        "criteria": (OWN,), "keys": (ANN, BOB), "signatures": 2,
        "audits": (audit("a", by=("ann",)), audit("a", by=("bob",), criteria=("licensed",)))},
    "a signature moved to another audit": {
        "keys": (ANN,), "signatures": 1,
        "audits": (replace(audit("a"), signatures=audit("b", by=("ann",)).signatures),)},
    "a base that is bad": {"audits": (audit("b"), audit("a", "b")), "violations": (violation(digest("b")),)},
}  # fmt: skip


def _store(fields: dict[str, Any]) -> AuditStore:
    peers = {item.peer for item in fields.get("keys", ()) if item.peer}
    if peers:
        from audits.test_peers import pinned

        fields = fields | {"imports": tuple(pinned(name) for name in peers)}
    return AuditStore(**fields)


@pytest.mark.parametrize("case", CLEARED)
def test_it_is_cleared_by(case: str) -> None:
    found = book(_store(CLEARED[case])).clear(package("a"))
    assert set(found.chains) == set(CLEARED[case].get("required", ("safe-to-load",)))
    assert all(chain[-1].digest == digest("a") for chain in found.chains.values())


@pytest.mark.parametrize("case", OPEN)
def test_it_is_not_cleared_by(case: str) -> None:
    with pytest.raises(NotClearedError):
        book(_store(OPEN[case])).clear(package("a"))


@pytest.mark.parametrize("case", CLEARED)
def test_a_violation_wins_over(case: str) -> None:
    for bad in (digest("a"), f"sha256:{'a' * 64}"):
        store = _store(CLEARED[case])
        with pytest.raises(ViolationError, match="sends tokens away"):
            book(store, violations=(*store.violations, violation(bad))).clear(package("a"))


def test_an_audit_is_of_content_so_a_copy_is_cleared_too() -> None:
    copied = package("a", source="local:copy", commit=None)
    assert book(audits=(audit("a"),)).clear(copied).package is copied


@pytest.mark.parametrize("copy", [package("a", "local:model", None), package("a", "hub:other/model"),
                                  package("a", "hub:org/model", None)])  # fmt: skip
def test_trust_in_a_publisher_says_nothing_of_a_copy(copy: Any) -> None:
    with pytest.raises(NotClearedError):
        book(trusted=(trust(),)).clear(copy)


def test_the_shortest_chain_is_shown_and_a_review_before_an_exemption() -> None:
    found = book(audits=(audit("a"), audit("b"), audit("a", "b")), exemptions=(exemption("a"),)).clear(package("a"))
    assert [link.kind for link in found.chains["safe-to-load"]] == ["audit"]


SIGNED = audit("a", by=("ann",), notes="read", commit="1" * 40)
FORGED = {
    "source": {"source": "hub:org/other"}, "digest": {"digest": digest("b")}, "criteria": {"criteria": SERVE},
    "who": {"who": "Bob"}, "date": {"date": TODAY + DAY}, "base": {"base": digest("c")}, "commit": {"commit": None},
    "notes": {"notes": "read twice"},
}  # fmt: skip


def test_every_field_of_an_audit_is_signed() -> None:
    assert {*FORGED, "signatures"} == {*Audit.__dataclass_fields__}


@pytest.mark.parametrize("name", FORGED)
def test_an_audit_changed_after_it_was_signed_does_not_count(name: str) -> None:
    forged = replace(SIGNED, **FORGED[name])
    store = AuditStore(keys=(ANN,), signatures=1, audits=(forged,))
    assert book(store).links == ()
    assert len(book(replace(store, audits=(SIGNED,))).links) == 1


def _again(name: str) -> str:
    """The same key in another spelling: as an OpenSSH line."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    loaded = load_pem_public_key(private(name).public.pem.encode())
    return loaded.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def test_one_key_in_two_spellings_is_not_two_keys() -> None:
    twin = AuditKey(name="ann-again", public=_again("ann"))
    with pytest.raises(SignatureError, match="under two names"):
        book(AuditStore(keys=(ANN, twin), signatures=2, audits=(audit("a", by=("ann",)),)))


def test_a_revocation_is_of_the_key_and_not_of_its_name() -> None:
    twin = AuditKey(name="ann-again", public=_again("ann"), revoked=TODAY, why="lost")
    assert book(AuditStore(keys=(ANN, twin), signatures=1, audits=(audit("a", by=("ann",)),))).links == ()


@pytest.mark.parametrize("fields", [
    {"keys": (ANN,)},
    {"keys": (ANN,), "signatures": 2},
    {"signatures": 1},
    {"required": ()},
    {"required": ("unheard-of",)},
    {"audits": (audit("a", criteria=("unheard-of",)),)},
    {"criteria": (Criterion(name="safe-to-load", description="anything goes"),)},
    {"criteria": (Criterion(name="own", description="own", implies=("unheard-of",)),)},
    {"keys": (ANN, AuditKey(name="ann-again", public=private("ann").public.pem)), "signatures": 2},
    {"keys": (key("carol", peer="acme"),)},
    {"audits": (audit("a"), audit("a"))},
    {"trusted": (trust(), trust())},
])  # fmt: skip
def test_a_store_that_contradicts_itself_cannot_be_made(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        AuditStore(**fields)


@pytest.mark.parametrize("publisher", ["hub:*", "hub:*/*", "*", "local:model", "hub:org*", "hub:org/mo*", "hub:/*"])
def test_trust_names_one_publisher(publisher: str) -> None:
    with pytest.raises(ValueError, match="publisher"):
        trust(publisher)


def test_trust_ends_within_a_year() -> None:
    with pytest.raises(ValueError, match="366 days"):
        trust(until=TODAY + 367 * DAY)
    with pytest.raises(TypeError):
        trust().__class__(publisher="hub:org/*", criteria=("safe-to-load",), why="ours", date=TODAY)  # type: ignore[call-arg]
