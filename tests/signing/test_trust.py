"""The trust-policy table: what meets a rule, and everything that looks as if it did."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from safe_remote_code.errors import DocumentError, SignatureError
from safe_remote_code.lockfile import LockedPackage
from safe_remote_code.policy import Policy
from safe_remote_code.reference import RepoSource
from safe_remote_code.signing import dsse
from safe_remote_code.signing.statements import PAYLOAD_TYPE, Statement
from safe_remote_code.signing.store import package_folder
from safe_remote_code.verify.memory import forget, recall
from signing.approvals import ALICE, BOB, CAROL, DAY, EVE, NOW, PACKAGE, REPO, SOURCE, Project, approval, policy, rule

ONE = policy(rule([ALICE.public]))
TWO = policy(rule([ALICE.public, BOB.public, CAROL.public], 2))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_one_signature_meets_a_rule_of_one(project: Project) -> None:
    project.sign(ALICE)
    (met,) = project.judge(ONE)
    assert (met.rule, met.version, met.key_ids, met.expires) == ("our-org", 1, {ALICE.public.key_id}, NOW + 10 * DAY)


def test_two_of_three_in_one_envelope_or_in_two(project: Project) -> None:
    project.sign(ALICE, BOB)
    assert project.judge(TWO)[0].key_ids == {ALICE.public.key_id, BOB.public.key_id}
    shutil.rmtree(package_folder(project.lockfile, PACKAGE.digest))
    project.sign(ALICE, expires=NOW + 2 * DAY)
    project.sign(CAROL, expires=NOW + 3 * DAY)
    (met,) = project.judge(TWO)
    assert (met.key_ids, met.expires) == ({ALICE.public.key_id, CAROL.public.key_id}, NOW + 2 * DAY)


def test_where_no_rule_names_the_source_the_pin_alone_holds(project: Project) -> None:
    other = replace(PACKAGE, source="hub:other/model")
    assert project.judge(ONE, other, RepoSource(kind="hub", location="other/model")) == ()
    assert not project.memory.exists()


Case = tuple[Policy, Callable[[Project], object], str]


def _says(**changes: Any) -> Callable[[Project], object]:
    return lambda project: project.sign(ALICE, **changes)


def _statement(kind: str, subjects: dict[str, str] | None = None) -> Callable[[Project], object]:
    """A statement of another kind, or with other subjects, otherwise as an approval."""
    def put(project: Project) -> None:
        value = json.loads(approval().payload())
        payload = Statement(
            subjects=subjects or {SOURCE: PACKAGE.digest[7:]}, predicate_type=kind, predicate=value["predicate"]
        ).payload()
        project.put(dsse.sign(payload, PAYLOAD_TYPE, [ALICE]))

    return put


def _raw(edit: Callable[[dict[str, Any]], object]) -> Callable[[Project], object]:
    """An approval with its JSON edited, and then signed: what only a careless or hostile signer makes."""
    def put(project: Project) -> None:
        value = json.loads(approval().payload())
        edit(value)
        project.put(dsse.sign(json.dumps(value).encode(), PAYLOAD_TYPE, [ALICE]))

    return put


def _predicate(key: str, value: object) -> Callable[[Project], object]:
    return _raw(lambda document: document["predicate"].__setitem__(key, value))


APPROVAL = "urn:safe-remote-code:approval:1"
REFUSED: dict[str, Case] = {
    # stripping
    "no signature at all": (ONE, lambda project: None, "needs 1 distinct keys, and 0 signed"),
    "an empty folder": (ONE, lambda project: package_folder(project.lockfile, PACKAGE.digest).mkdir(parents=True), "0 signed"),
    "an empty file": (ONE, lambda project: project.put(b""), "not strict JSON"),
    "an envelope without signatures": (ONE, lambda project: project.put(b'{"payload":"","payloadType":"application/vnd.in-toto+json","signatures":[]}'), "1 to 32 signatures"),
    "a statement without its SSH signature": (ONE, lambda project: project.put(approval().payload(), suffix=".statement.json"), "0 signed"),
    "a file of another name": (ONE, lambda project: project.put(dsse.sign(approval().payload(), PAYLOAD_TYPE, [ALICE]), suffix=".jsn"), "0 signed"),
    # threshold
    "a stranger": (ONE, lambda project: project.sign(EVE), "0 signed"),
    "one of the two that are needed": (TWO, lambda project: project.sign(ALICE), "2 distinct keys, and 1 signed"),
    "one key, twice": (TWO, lambda project: [project.sign(ALICE), project.sign(ALICE)], "2 distinct keys, and 1 signed"),
    "one ECDSA key, twice": (TWO, lambda project: [project.sign(BOB), project.sign(BOB, expires=NOW + DAY)], "2 distinct keys, and 1 signed"),
    "one and a stranger": (TWO, lambda project: project.sign(ALICE, EVE), "2 distinct keys, and 1 signed"),
    "two keys, but each another version": (TWO, lambda project: [project.sign(ALICE), project.sign(BOB, version=2)], "1 signed in any one version"),
    "two keys, one of them revoked": (policy(rule([ALICE.public, BOB.public, CAROL.public], 2), revoked=[BOB.public]), lambda project: project.sign(ALICE, BOB), "2 distinct keys, and 1 signed"),
    # expiry and time
    "expired this second": (ONE, _says(expires=NOW), "expired at 2026-11-23T12:00:00Z"),
    "expired long ago": (ONE, _says(issued=NOW - 9 * DAY, expires=NOW - 8 * DAY), "expired at"),
    "issued in the future": (ONE, _says(issued=NOW + DAY, expires=NOW + 2 * DAY), "issued in the future"),
    "the rule itself has expired": (policy(rule([ALICE.public], expires=NOW)), _says(), "its keys expired"),
    # revocation
    "the only key is revoked": (policy(rule([ALICE.public]), revoked=[ALICE.public]), _says(), "1 of its 1 keys are revoked"),
    "too many keys are revoked": (policy(rule([ALICE.public, BOB.public, CAROL.public], 2), revoked=[ALICE.public, BOB.public]), lambda project: project.sign(ALICE, CAROL), "can no longer be had"),
    # a signature over something else
    "another repository's entry": (ONE, _says(source="hub:our-org/other"), "another source"),
    "another commit": (ONE, _says(commit="b" * 40), "another commit"),
    "no commit": (ONE, _says(commit=None), "another commit"),
    "another content": (ONE, _says(digest="sha256:" + "0" * 64), "another digest"),
    "fewer entry points than the lock": (ONE, _says(entry_points=("modeling_x.W",)), "another entry points"),
    "more entry points than the lock": (ONE, _says(entry_points=("modeling_x.X", "modeling_x.Y")), "another entry points"),
    "fewer capabilities than the lock": (ONE, _says(capabilities=()), "another capabilities"),
    "more capabilities than the lock": (ONE, _says(capabilities=("file-read", "network")), "another capabilities"),
    "another kind of statement": (ONE, _statement("urn:safe-remote-code:audit:1"), "says something else"),
    "two subjects": (ONE, _statement(APPROVAL, {SOURCE: PACKAGE.digest[7:], "hub:x/y": "0" * 64}), "several packages"),
    # malformed, though signed
    "another statement type": (ONE, _raw(lambda value: value.__setitem__("_type", "https://in-toto.io/Statement/v0.1")), "not an in-toto statement"),
    "no subject": (ONE, _raw(lambda value: value.__setitem__("subject", [])), "speaks of nothing"),
    "a subject twice": (ONE, _raw(lambda value: value["subject"].append(value["subject"][0])), "subject twice"),
    "a subject by another hash": (ONE, _raw(lambda value: value["subject"][0].__setitem__("digest", {"sha1": "0" * 40})), "sha256"),
    "a digest in upper case": (ONE, _raw(lambda value: value["subject"][0]["digest"].__setitem__("sha256", "A" * 64)), "a SHA-256"),
    "an unknown key": (ONE, _predicate("unlessItIsTuesday", True), "unknown key"),
    "an unknown key beside it": (ONE, _raw(lambda value: value.__setitem__("more", 1)), "unknown key"),
    "version 0": (ONE, _predicate("version", 0), "between 1 and"),
    "version -1": (ONE, _predicate("version", -1), "between 1 and"),
    "version true": (ONE, _predicate("version", True), "must be an integer"),
    "version 1.0": (ONE, _predicate("version", 1.0), "not an integer"),
    "version as text": (ONE, _predicate("version", "1"), "must be an integer"),
    "the highest version there could be": (ONE, _predicate("version", 2**31), "between 1 and"),
    "a time with an offset": (ONE, _predicate("expires", "2027-01-01T00:00:00+00:00"), "not a time"),
    "a time with a fraction": (ONE, _predicate("expires", "2027-01-01T00:00:00.5Z"), "not a time"),
    "a time with short fields": (ONE, _predicate("expires", "2027-1-1T0:0:0Z"), "not a time"),
    "a time in other digits": (ONE, _predicate("expires", "２０２７-01-01T00:00:00Z"), "not a time"),
    "no such day": (ONE, _predicate("expires", "2027-02-30T00:00:00Z"), "not a time"),
    "no expiry": (ONE, _raw(lambda value: value["predicate"].__delitem__("expires")), "'expires' must be a string"),
    "expires before it was issued": (ONE, _predicate("expires", "2000-01-01T00:00:00Z"), "before it was issued"),
    "entry points that are no list": (ONE, _predicate("entryPoints", "modeling_x.X"), "must be an array"),
    "entry points with a number": (ONE, _predicate("entryPoints", ["modeling_x.X", 1]), "strings only"),
    "entry points twice": (ONE, _predicate("entryPoints", ["modeling_x.X", "modeling_x.X"]), "each once"),
    "no entry point": (ONE, _predicate("entryPoints", []), "entry points"),
    # rollback
    "under the minimum version": (policy(rule([ALICE.public], minimum_version=3)), _says(version=2), "under the minimum"),
    # several rules
    "one of two rules is not met": (policy(rule([ALICE.public]), rule([BOB.public], name="second", sources=("*",))), _says(), "trust rule second"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused(case: str, project: Project) -> None:
    asked, prepare, reason = REFUSED[case]
    prepare(project)
    with pytest.raises(SignatureError, match=reason):
        project.judge(asked)
    assert recall(project.memory).numbers == {}, "a refusal teaches nothing"


def test_what_does_not_count_does_not_spoil_what_does(project: Project) -> None:
    """Whoever can add a file could otherwise lock everybody out."""
    project.put(b"not JSON")
    project.sign(EVE)
    project.sign(BOB, version=7, expires=NOW - DAY / 2)
    project.sign(ALICE)
    assert project.judge(ONE)[0].key_ids == {ALICE.public.key_id}


def test_a_stranger_cannot_raise_the_version(project: Project) -> None:
    project.sign(ALICE, version=2)
    project.sign(EVE, version=9)
    assert project.judge(ONE)[0].version == 2
    project.sign(BOB, CAROL, version=5)
    project.sign(ALICE, version=8)
    assert project.judge(TWO)[0].version == 5, "one key of the two that are needed does not raise it either"


def test_a_lower_version_than_the_one_seen_is_refused(project: Project) -> None:
    newest = project.sign(ALICE, version=3)
    assert project.judge(ONE)[0].version == 3
    newest.unlink()
    project.sign(ALICE, version=2)
    with pytest.raises(SignatureError, match="2 is a rollback: 3 was seen here before"):
        project.judge(ONE)
    assert forget(project.memory, f"{os.path.realpath(project.lockfile)}: {SOURCE} ", clock=False) == 1
    assert project.judge(ONE)[0].version == 2


def test_older_code_whose_approval_has_not_expired_is_a_rollback_too(project: Project) -> None:
    older = replace(PACKAGE, files={"modeling_x.py": "0" * 64})
    project.sign(ALICE, package=older, version=1)
    project.sign(ALICE, version=2)
    project.judge(ONE, older)
    project.judge(ONE)
    with pytest.raises(SignatureError, match="rollback"):
        project.judge(ONE, older)


def test_memories_of_sources_rules_and_projects_are_apart(project: Project, tmp_path: Path) -> None:
    project.sign(ALICE, version=5)
    project.judge(ONE)
    other = replace(PACKAGE, source="hub:our-org/second")
    project.sign(ALICE, package=other, version=1)
    assert project.judge(ONE, other, RepoSource(kind="hub", location="our-org/second"))[0].version == 1
    elsewhere = Project(tmp_path / "elsewhere")
    elsewhere.sign(ALICE, version=1)
    (tmp_path / "elsewhere" / "state").symlink_to(tmp_path / "state")
    assert elsewhere.judge(ONE)[0].version == 1


def test_a_clock_that_went_back_is_refused(project: Project) -> None:
    project.sign(ALICE, issued=NOW - 9 * DAY)
    project.judge(ONE)
    for back, good in ((DAY / 1000, True), (DAY, False)):
        project.now = NOW - back
        if good:
            project.judge(ONE)
            continue
        with pytest.raises(SignatureError, match="the clock says 2026-11-22T12:00:00Z, but 2026-11-23T12:00:00Z"):
            project.judge(ONE)
    forget(project.memory, "", clock=True)
    project.judge(ONE)


def test_turning_the_clock_back_does_not_revive_what_expired(project: Project) -> None:
    project.sign(ALICE, expires=NOW + DAY)
    project.sign(ALICE, package=replace(PACKAGE, source="hub:our-org/second"))
    project.judge(ONE)
    project.now = NOW + 2 * DAY
    second = replace(PACKAGE, source="hub:our-org/second")
    project.judge(ONE, second, RepoSource(kind="hub", location="our-org/second"))
    with pytest.raises(SignatureError, match="expired"):
        project.judge(ONE)
    project.now = NOW
    with pytest.raises(SignatureError, match="clock"):
        project.judge(ONE)


SPOILT = [b"", b"{}", b"[]", b'{"format":2,"time":"2026-01-01T00:00:00Z","seen":{}}', b'{"format":1,"time":"x","seen":{}}',
          b'{"format":1,"time":"2026-01-01T00:00:00Z","seen":{"a":"1"}}', b'{"format":1,"time":"2026-01-01T00:00:00Z","seen":{"a":1,"a":2}}']  # fmt: skip


@pytest.mark.parametrize("data", SPOILT)
def test_a_spoilt_memory_refuses_and_does_not_begin_anew(data: bytes, project: Project) -> None:
    project.sign(ALICE)
    project.memory.parent.mkdir()
    project.memory.write_bytes(data)
    with pytest.raises(DocumentError):
        project.judge(ONE)
    assert project.memory.read_bytes() == data


def test_a_version_that_cannot_be_remembered_is_refused(project: Project) -> None:
    project.sign(ALICE, issued=NOW - DAY)
    project.memory.parent.write_text("a file where the folder should be")
    with pytest.raises(DocumentError):
        project.judge(ONE)


def test_nothing_is_written_when_nothing_is_new(project: Project) -> None:
    project.sign(ALICE)
    project.judge(ONE)
    before = project.memory.stat()
    project.now += DAY / 48
    project.judge(ONE)
    assert project.memory.stat().st_ino == before.st_ino
    project.now += DAY / 24
    project.judge(ONE)
    assert project.memory.stat().st_ino != before.st_ino


# --- whose approval counts for what is loaded -----------------------------------------------------


def test_an_approval_of_a_repository_with_the_same_code_is_not_one_of_this_repository(project: Project) -> None:
    fork = replace(PACKAGE, source="hub:our-org/experiment")
    project.sign(ALICE, package=fork)
    with pytest.raises(SignatureError, match="this repository's own approval"):
        project.judge(ONE, fork, REPO)


def test_a_copy_in_a_folder_needs_the_approval_of_what_it_is_a_copy_of(project: Project) -> None:
    checkpoint = RepoSource(kind="local", location="/runs/checkpoint-10")
    with pytest.raises(SignatureError, match="0 signed"):
        project.judge(ONE, PACKAGE, checkpoint)
    project.sign(ALICE)
    assert project.judge(ONE, PACKAGE, checkpoint)[0].source == SOURCE
    everything = policy(rule([ALICE.public], sources=("*",)))
    assert project.judge(everything, PACKAGE, checkpoint)[0].source == SOURCE


def test_a_rule_about_folders_holds_for_copies_of_what_no_rule_names(project: Project) -> None:
    local = policy(rule([ALICE.public], sources=("local:*",)))
    with pytest.raises(SignatureError, match="0 signed"):
        project.judge(local, PACKAGE, RepoSource(kind="local", location="/runs/checkpoint-10"))


def test_upper_case_does_not_slip_past_a_rule(project: Project) -> None:
    """The Hub finds `Our-Org/Model` too; the code is still that of the pinned name."""
    with pytest.raises(SignatureError):
        project.judge(ONE, PACKAGE, RepoSource(kind="hub", location="Our-Org/Model"))


def test_too_many_files_are_refused(project: Project) -> None:
    for _ in range(65):
        project.put(b"{}")
    with pytest.raises(SignatureError, match="more than 64 files"):
        project.judge(ONE)


def test_a_link_in_the_folder_is_not_followed(project: Project, tmp_path: Path) -> None:
    place = project.sign(ALICE)
    place.rename(tmp_path / "elsewhere.json")
    place.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(DocumentError):
        project.judge(ONE)


def test_packages_with_and_without_commit_are_told_apart(project: Project) -> None:
    folder = LockedPackage(source=SOURCE, commit=None, files=PACKAGE.files, entry_points=PACKAGE.entry_points,
                           capabilities=PACKAGE.capabilities)  # fmt: skip
    project.sign(ALICE)
    with pytest.raises(SignatureError, match="another commit"):
        project.judge(ONE, folder)


def test_the_stage_itself_knows_which_repository_is_loaded(project: Project, tmp_path: Path) -> None:
    """`approved` on a snapshot: the proof is carried, and a fork's approval is not this repository's."""
    from safe_remote_code.snapshot import SourceFile, snapshot
    from safe_remote_code.verify import Surroundings, VerifiedSnapshot, approved

    code = snapshot([SourceFile(path="modeling_x.py", data=b"class X: pass\n")])
    package = replace(PACKAGE, files=code.manifest)
    around = Surroundings(lockfile=project.lockfile, memory=project.memory, now=project.now)
    verified = VerifiedSnapshot(snapshot=code, package=package)
    with pytest.raises(SignatureError):
        approved(verified, REPO, ONE, around)
    project.sign(ALICE, package=package)
    proven = approved(verified, REPO, ONE, around)
    assert [met.rule for met in proven.approved] == ["our-org"]
    with pytest.raises(SignatureError, match="this repository's own approval"):
        approved(verified, RepoSource(kind="hub", location="our-org/fork"), ONE, around)
    other = replace(package, source="hub:our-org/other")
    with pytest.raises(ValueError, match="another package"):
        VerifiedSnapshot(snapshot=code, package=other, approved=proven.approved)


def test_no_stage_goes_on_without_the_proof(project: Project) -> None:
    """`admit` refuses a verified snapshot whose trust rule nobody judged."""
    from safe_remote_code.admit import admit
    from safe_remote_code.analyse import analyse
    from safe_remote_code.snapshot import SourceFile, snapshot
    from safe_remote_code.verify import VerifiedSnapshot

    code = snapshot([SourceFile(path="modeling_x.py", data=b"class X: pass\n")])
    verified = VerifiedSnapshot(snapshot=code, package=replace(PACKAGE, files=code.manifest))
    with pytest.raises(ValueError, match="was not judged"):
        admit(verified, analyse(code), ONE, SOURCE)


def test_of_two_approvals_by_one_key_the_later_expiry_holds(project: Project) -> None:
    for days in (2, 5, 3):
        project.sign(ALICE, expires=NOW + days * DAY)
    assert project.judge(ONE)[0].expires == NOW + 5 * DAY


def test_clocks_may_differ_by_minutes_and_no_more(project: Project) -> None:
    from safe_remote_code.signing.times import CLOCK_SKEW

    place = project.sign(ALICE, issued=NOW + CLOCK_SKEW)
    project.judge(ONE)
    place.unlink()
    project.sign(ALICE, issued=NOW + CLOCK_SKEW + DAY / 86400)
    with pytest.raises(SignatureError, match="in the future"):
        project.judge(ONE)


@pytest.mark.parametrize("version", [3, 2**31 - 1])
def test_the_minimum_version_itself_is_enough(version: int, project: Project) -> None:
    project.sign(ALICE, version=version)
    assert project.judge(policy(rule([ALICE.public], minimum_version=3)))[0].version == version


def test_what_is_remembered_is_named_by_project_source_rule_and_the_keys_that_it_began_with(project: Project) -> None:
    """So that a policy that lists other keys itself begins anew, and a number of 0 is not noted."""
    from safe_remote_code.signing.rotation import KeySet

    asked = policy(rule([ALICE.public]), rule([ALICE.public], name="all", sources=("*",)))
    project.sign(ALICE, version=3)
    assert [met.rule for met in project.judge(asked)] == ["our-org", "all"]
    place = os.path.realpath(project.lockfile)
    versions = {f"{place}: {SOURCE} under our-org": 3, f"{place}: {SOURCE} under all": 3}
    assert recall(project.memory).numbers == versions
    old = KeySet(keys=frozenset([ALICE.public]), threshold=1)
    project.rotate(old, KeySet(keys=frozenset([BOB.public]), threshold=1, number=1), ALICE, BOB)
    project.sign(BOB, version=3)
    project.judge(ONE)
    assert recall(project.memory).numbers == versions | {f"{place}: rotations of our-org from {old.identity[:16]}": 1}


def test_each_rule_has_the_highest_version_that_its_own_keys_reached(project: Project) -> None:
    asked = policy(rule([ALICE.public]), rule([BOB.public], name="second", minimum_version=2))
    for version in (4, 2, 3):
        project.sign(ALICE, version=version, expires=NOW + version * DAY)
    project.sign(BOB, version=7)
    first, second = project.judge(asked)
    assert (first.version, first.expires, second.version) == (4, NOW + 4 * DAY, 7)
    place = os.path.realpath(project.lockfile)
    assert recall(project.memory).numbers == {f"{place}: {SOURCE} under our-org": 4, f"{place}: {SOURCE} under second": 7}


def test_a_rollback_says_how_it_is_accepted(project: Project) -> None:
    newest = project.sign(ALICE, version=3)
    project.judge(ONE)
    newest.unlink()
    project.sign(ALICE, version=2)
    with pytest.raises(SignatureError) as refused:
        project.judge(ONE)
    assert str(refused.value) == (
        f"[signature] {os.path.realpath(project.lockfile)}: {SOURCE} under our-org: 2 is a rollback: 3 was seen here before\n"
        f"  To continue: restore what was signed last, or accept it: safe-remote-code trust forget {SOURCE}"
    )


def test_anothers_approval_says_what_to_do(project: Project) -> None:
    fork = replace(PACKAGE, source="hub:our-org/experiment")
    with pytest.raises(SignatureError) as refused:
        project.judge(ONE, fork, REPO)
    assert str(refused.value) == (
        f"[signature] {SOURCE}: trust rule our-org wants this repository's own approval, but its code is pinned as that of "
        "hub:our-org/experiment\n  To continue: safe-remote-code pin our-org/model, then sign it"
    )


def test_each_rule_is_judged_once(project: Project) -> None:
    """A rule that names both the copy that is loaded and what it is a copy of."""
    asked = policy(rule([ALICE.public], sources=("*",)), rule([ALICE.public], name="second"), rule([EVE.public], name="third", sources=("hub:x/*",)))
    project.sign(ALICE)
    met = project.judge(asked, PACKAGE, RepoSource(kind="local", location="/runs/checkpoint-10"))
    assert [item.rule for item in met] == ["our-org", "second"]


def test_without_a_pin_there_is_nothing_to_approve(project: Project) -> None:
    from safe_remote_code.snapshot import SourceFile, snapshot
    from safe_remote_code.verify import Surroundings, VerifiedSnapshot, approved

    code = snapshot([SourceFile(path="modeling_x.py", data=b"class X: pass\n")])
    unpinned = VerifiedSnapshot(snapshot=code, package=None, unsafe_unpinned=code.digest)
    around = Surroundings(lockfile=project.lockfile, memory=project.memory, now=project.now)
    assert approved(unpinned, REPO, ONE, around) is unpinned


def test_the_order_of_the_lock_is_not_that_of_the_approval(project: Project) -> None:
    package = replace(PACKAGE, entry_points=("modeling_x.X", "helper.H"), capabilities=("network", "file-read"))
    project.sign(ALICE, package=package)
    assert project.judge(ONE, package)[0].version == 1
