"""Key rotation: only the old set can appoint the new one, in order, and the new one must be able to sign."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from safe_remote_code.errors import SignatureError
from safe_remote_code.signing.rotation import KeySet
from signing.approvals import ALICE, BOB, CAROL, DAY, EVE, NOW, Project, policy, rule

OLD = KeySet(keys=frozenset([ALICE.public, BOB.public]), threshold=2)
NEW = KeySet(keys=frozenset([BOB.public, CAROL.public]), threshold=2, number=1)
THIRD = KeySet(keys=frozenset([CAROL.public]), threshold=1, number=2)
ASKED = policy(rule([ALICE.public, BOB.public], 2))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_the_new_keys_count_and_the_old_ones_no_longer_do(project: Project) -> None:
    project.rotate(OLD, NEW, ALICE, BOB, CAROL)
    approved = project.sign(ALICE, BOB)
    with pytest.raises(SignatureError, match="2 distinct keys, and 1 signed"):
        project.judge(ASKED)
    approved.unlink()
    project.sign(BOB, CAROL)
    assert project.judge(ASKED)[0].key_ids == {BOB.public.key_id, CAROL.public.key_id}


def test_rotations_follow_each_other_and_only_the_last_need_be_fresh(project: Project) -> None:
    project.rotate(OLD, NEW, ALICE, BOB, CAROL, expires=NOW - DAY / 2)
    with pytest.raises(SignatureError, match="its keys expired"):
        project.judge(ASKED)
    project.rotate(NEW, THIRD, BOB, CAROL)
    project.sign(CAROL)
    assert project.judge(ASKED)[0].key_ids == {CAROL.public.key_id}


def test_a_rotation_that_vanishes_is_a_rollback(project: Project) -> None:
    place = project.rotate(OLD, NEW, ALICE, BOB, CAROL)
    project.sign(BOB, CAROL)
    project.judge(ASKED)
    place.unlink()
    project.sign(ALICE, BOB)
    with pytest.raises(SignatureError, match="0 is a rollback: 1 was seen"):
        project.judge(ASKED)


def test_a_revoked_key_counts_on_neither_side(project: Project) -> None:
    project.rotate(OLD, NEW, ALICE, BOB, CAROL)
    project.sign(BOB, CAROL)
    for revoked in (ALICE, CAROL):
        with pytest.raises(SignatureError, match="rotation 1: not accepted"):
            project.judge(policy(rule([ALICE.public, BOB.public], 2), revoked=[revoked.public]))


MALLORY = KeySet(keys=frozenset([EVE.public]), threshold=1, number=1)
REFUSED: dict[str, tuple[Callable[[Project], object], str]] = {
    "signed by the new set alone": (lambda p: p.rotate(OLD, MALLORY, EVE), "signed by 0 trusted keys of the 2"),
    "signed by one old key of two": (lambda p: p.rotate(OLD, MALLORY, ALICE, EVE), "signed by 1 trusted keys of the 2"),
    "not signed by the new set": (lambda p: p.rotate(OLD, MALLORY, ALICE, BOB), "signed by 0 trusted keys of the 1"),
    "not by the new threshold": (lambda p: p.rotate(OLD, NEW, ALICE, BOB), "signed by 1 trusted keys of the 2"),
    "from another set": (lambda p: p.rotate(KeySet(keys=OLD.keys, threshold=1), NEW, ALICE, BOB, CAROL), "other keys than these"),
    "of another rule": (lambda p: p.rotate(OLD, NEW, ALICE, BOB, CAROL, rule="their-org"), "another rule"),
    "expired": (lambda p: p.rotate(OLD, NEW, ALICE, BOB, CAROL, expires=NOW), "its keys expired"),
    "from the future": (lambda p: p.rotate(OLD, NEW, ALICE, BOB, CAROL, issued=NOW + DAY), "not yet valid"),
    "a gap": (lambda p: p.rotate(OLD, NEW, ALICE, BOB, CAROL, number=2), "without gaps"),
    "out of order": (lambda p: p.rotate(KeySet(keys=OLD.keys, threshold=2, number=1), KeySet(keys=NEW.keys, threshold=2, number=2), ALICE, BOB, CAROL, number=1), "other keys than these"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused(case: str, project: Project) -> None:
    prepare, reason = REFUSED[case]
    prepare(project)
    project.sign(ALICE, BOB, CAROL, EVE)
    with pytest.raises(SignatureError, match=reason):
        project.judge(ASKED)


def test_a_set_that_is_empty_or_cannot_sign_is_none() -> None:
    for keys, threshold in ((frozenset(), 0), (frozenset(), 1), (OLD.keys, 3), (OLD.keys, 0)):
        with pytest.raises(SignatureError, match="cannot be met"):
            KeySet(keys=keys, threshold=threshold)  # type: ignore[arg-type]


def test_a_first_rotation_is_remembered_at_once(project: Project) -> None:
    """Also if the memory was written a moment ago."""
    approved = project.sign(ALICE, BOB)
    project.judge(ASKED)
    place = project.rotate(OLD, NEW, ALICE, BOB, CAROL)
    both = project.sign(BOB, CAROL)
    project.judge(ASKED)
    place.unlink()
    assert approved.exists() and both.exists()
    with pytest.raises(SignatureError, match="0 is a rollback: 1 was seen"):
        project.judge(ASKED)
