"""Sets of peers: verified when they are imported and at every reading; what is taken back is seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audits.make import audit, book, digest, key, package, private, violation
from safe_remote_code.audits.peers import change_of_set, open_set, read_peers, set_path, write_set
from safe_remote_code.audits.records import Criterion, Import, Signature
from safe_remote_code.audits.signed import sign_set
from safe_remote_code.audits.store import AuditSet, AuditStore
from safe_remote_code.audits.writing import format_set
from safe_remote_code.errors import DocumentError, NotClearedError, SignatureError, ViolationError

ISSUED = "2026-11-23T08:00:00Z"
THEIRS = Criterion(name="reviewed", description="two of us read it", implies=())


def pinned(name: str) -> Import:
    """An import record of a set that is nowhere."""
    return Import(name=name, origin="file", digest=digest("f"), threshold=1,
                  signatures=(Signature(key="0" * 64, value="AA=="),))  # fmt: skip


def _set(**fields: Any) -> AuditSet:
    return AuditSet(**({"issued": ISSUED, "audits": (audit("a", who="Carol"),)} | fields))


def _imported(tmp_path: Path, shared: AuditSet, by: tuple[str, ...] = ("carol",), threshold: int = 1,
              **renamed: str) -> tuple[AuditStore, Path]:  # fmt: skip
    path = tmp_path / "remote-code-audits.toml"
    keys = [private(name).public for name in by]
    published = open_set(sign_set(format_set(shared), [private(name) for name in by]), "acme", "file", keys, threshold,
                         renamed)  # fmt: skip
    write_set(published, set_path(path, "acme"))
    listed = tuple(key(name, peer="acme") for name in by)
    return AuditStore(keys=listed, imports=(published.pinned,)), path


def test_a_set_clears_under_the_names_that_all_share(tmp_path: Path) -> None:
    store, path = _imported(tmp_path, _set())
    chain = book(store, *read_peers(store, path)).clear(package("a")).chains["safe-to-load"]
    assert [str(link) for link in chain] == ["full review: Carol of acme, 2026-11-23"]


def test_our_delta_goes_on_from_their_review(tmp_path: Path) -> None:
    store, path = _imported(tmp_path, _set())
    store = replace(store, audits=(audit("b", "a"),))
    assert len(book(store, *read_peers(store, path)).clear(package("b")).chains["safe-to-load"]) == 2


def test_a_revoked_key_of_a_peer_clears_nothing_but_its_violations_stand(tmp_path: Path) -> None:
    store, path = _imported(tmp_path, _set(violations=(violation(digest("b")),)))
    store = replace(store, keys=(replace(store.keys[0], revoked=audit().date, why="lost"),))
    (peer,) = read_peers(store, path)
    assert peer.refused == "signed by 0 keys that count, of 1 needed"
    found = book(store, peer)
    with pytest.raises(NotClearedError):
        found.clear(package("a"))
    with pytest.raises(ViolationError):
        found.clear(package("b"))


def test_two_of_two_keys(tmp_path: Path) -> None:
    store, path = _imported(tmp_path, _set(), ("carol", "dave"), threshold=2)
    assert read_peers(store, path)[0].refused == ""
    one = replace(store, keys=tuple(item for item in store.keys if item.name == "carol"))
    assert read_peers(one, path)[0].refused == "signed by 1 keys that count, of 2 needed"


def test_a_key_of_ours_does_not_make_their_set_count(tmp_path: Path) -> None:
    store, path = _imported(tmp_path, _set())
    ours = replace(store, keys=(key("carol"),), signatures=1)
    assert read_peers(ours, path)[0].refused


def test_a_criterion_of_theirs_counts_only_when_it_is_mapped(tmp_path: Path) -> None:
    shared = _set(criteria=(THEIRS,), audits=(audit("a", criteria=("reviewed",)),))
    store, path = _imported(tmp_path, shared)
    with pytest.raises(NotClearedError):
        book(store, *read_peers(store, path)).clear(package("a"))
    store, path = _imported(tmp_path, shared, **{"reviewed": "safe-to-load"})
    assert book(store, *read_peers(store, path)).clear(package("a"))


def test_a_criterion_of_theirs_with_the_name_of_one_of_ours_is_not_ours(tmp_path: Path) -> None:
    own = Criterion(name="reviewed", description="by our lawyers")
    store, path = _imported(tmp_path, _set(criteria=(THEIRS,), audits=(audit("a", criteria=("reviewed",)),)))
    store = replace(store, criteria=(own,), required=("reviewed",))
    with pytest.raises(NotClearedError):
        book(store, *read_peers(store, path)).clear(package("a"))


def test_a_set_that_was_changed_on_disk_is_refused(tmp_path: Path) -> None:
    store, path = _imported(tmp_path, _set())
    place = set_path(path, "acme")
    place.write_text(place.read_text().replace("Carol", "Mallory"))
    with pytest.raises(DocumentError, match="not the set that was imported"):
        read_peers(store, path)
    place.unlink()
    with pytest.raises(DocumentError, match="cannot be read"):
        read_peers(store, path)


def test_a_set_changed_on_disk_and_in_the_store_is_not_signed(tmp_path: Path) -> None:
    store, path = _imported(tmp_path, _set())
    place = set_path(path, "acme")
    place.write_text(place.read_text().replace("Carol", "Mallory"))
    import hashlib

    other = f"sha256:{hashlib.sha256(place.read_bytes()).hexdigest()}"
    store = replace(store, imports=(replace(store.imports[0], digest=other),))
    assert read_peers(store, path)[0].refused


@pytest.mark.parametrize(("keys", "threshold", "words"), [
    (("dave",), 1, "signed by 0 trusted keys"), ((), 1, "no key is trusted"), (("carol", "dave"), 2, "signed by 1"),
    (("carol", "carol"), 2, "only 1 distinct"),
])  # fmt: skip
def test_a_set_by_other_keys_is_not_imported(keys: tuple[str, ...], threshold: int, words: str) -> None:
    envelope = sign_set(format_set(_set()), [private("carol")])
    with pytest.raises(SignatureError, match=words):
        open_set(envelope, "acme", "file", [private(name).public for name in keys], threshold, {})


def test_an_audit_of_ours_is_no_set() -> None:
    """One key may sign both: the type of the envelope keeps them apart."""
    from safe_remote_code.signing import dsse
    from safe_remote_code.signing.statements import PAYLOAD_TYPE

    envelope = dsse.sign(format_set(_set()).encode(), PAYLOAD_TYPE, [private("carol")])
    with pytest.raises(SignatureError, match="not of type"):
        open_set(envelope, "acme", "file", [private("carol").public], 1, {})


@pytest.mark.parametrize("payload", [b"", b"\xff", b"format = 1\nrecords = 0\nissued = 'yesterday'\n",
                                     b"format = 1\nrecords = 1\nissued = '2026-11-23T08:00:00Z'\n"])  # fmt: skip
def test_a_signed_set_is_still_read_strictly(payload: bytes) -> None:
    from safe_remote_code.audits.signed import SET_TYPE
    from safe_remote_code.signing import dsse

    envelope = dsse.sign(payload, SET_TYPE, [private("carol")])
    with pytest.raises((DocumentError, SignatureError)):
        open_set(envelope, "acme", "file", [private("carol").public], 1, {})


def test_what_is_taken_back_upstream_is_seen() -> None:
    old = _set(audits=(audit("a"), audit("b")), violations=(violation(digest("c")),))
    new = _set(issued="2026-11-24T08:00:00Z", audits=(audit("b"), audit("d")))
    change = change_of_set(old, new, "file")
    assert [item.digest for item in change.added] == [digest("d")]
    assert {item.digest for item in change.removed} == {digest("a"), digest("c")}


def test_an_older_set_does_not_replace_a_newer_one() -> None:
    with pytest.raises(SignatureError, match="before the set that is imported"):
        change_of_set(_set(), _set(issued="2026-11-22T08:00:00Z"), "file")
