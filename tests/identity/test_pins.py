"""Which locked package, if any, vouches for the bytes that lie there; and what is said if none does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from safe_remote_code.errors import DigestMismatchError, NotPinnedError, RemoteCodeError
from safe_remote_code.lockfile import Lock, LockedPackage
from safe_remote_code.reference import ModuleRef, RepoSource
from safe_remote_code.snapshot import Snapshot, SourceFile, snapshot
from safe_remote_code.verify import VerifiedSnapshot, verify
from safe_remote_code.verify.trust import MetRule

MODEL = b"from .helper import scale\ntry:\n    from . import fast\nexcept ImportError:\n    fast = None\nclass X: pass\n"
FILES = {"m.py": MODEL, "helper.py": b"def scale(x): return x\n"}
HUB = RepoSource(kind="hub", location="our-org/model")
REF = ModuleRef(source=HUB, path="m.py", class_name="X")


def _code(**changes: bytes | None) -> Snapshot:
    """The repository, with files changed, added, or (None) removed; a name ends before `.py`."""
    files = FILES | {f"{name}.py": data for name, data in changes.items()}
    return snapshot(SourceFile(path=path, data=data) for path, data in files.items() if data is not None)


def _package(code: Snapshot, source: str = "hub:our-org/model", entry_points: tuple[str, ...] = ("m.X",)) -> LockedPackage:
    return LockedPackage(source=source, commit="0" * 40, files=code.manifest, entry_points=entry_points)


def _lock(*packages: LockedPackage) -> Lock:
    return Lock(packages=tuple(sorted(packages, key=lambda package: (package.source, package.digest))))


def _verified(code: Snapshot, *packages: LockedPackage, ref: ModuleRef = REF) -> VerifiedSnapshot:
    return verify(code, ref, _lock(*packages), pin_command="pin our-org/model")


def _refusal(code: Snapshot, *packages: LockedPackage, ref: ModuleRef = REF) -> RemoteCodeError:
    with pytest.raises(RemoteCodeError) as refused:
        _verified(code, *packages, ref=ref)
    return refused.value


CODE = _code()
OWN = _package(CODE)


def test_pinned_bytes_are_verified_and_by_their_own_pin_first() -> None:
    others = [_package(CODE, source) for source in ("hub:a/a", "hub:z/z", "local:model")]
    verified = _verified(CODE, *others, OWN)
    assert (verified.snapshot, verified.package, verified.package_digest) == (CODE, OWN, CODE.digest)
    assert _verified(CODE, *others).package in others, "a copy loads under the pin of what it is a copy of"


def test_a_part_of_what_was_pinned_is_verified_if_nothing_that_it_imports_is_missing() -> None:
    whole = _package(_code(unrelated=b"x = 1\n"))
    assert _verified(CODE, whole).package == whole
    assert _verified(_code(fast=b"x = 1\n"), _package(_code(fast=b"x = 1\n"))).package is not None


def test_a_pinned_file_that_the_code_would_import_may_not_be_missing() -> None:
    """`try: from . import fast` would go the other way."""
    for gone, names in (({"fast": None}, "fast.py"), ({"fast": None, "helper": None}, "fast.py, helper.py")):
        error = _refusal(_code(**gone), _package(_code(fast=b"x = 1\n")))
        assert isinstance(error, DigestMismatchError)
        assert str(error) == f"[digest-mismatch] hub:our-org/model: pinned files are missing: {names}\n  To continue: restore the repository"


def test_a_package_that_is_whole_is_found_behind_one_that_is_not() -> None:
    larger, exact = _package(_code(fast=b"x = 1\n")), _package(CODE, "local:model")
    assert _verified(CODE, larger, exact).package == exact


def test_what_is_not_python_imports_nothing_and_hides_nothing() -> None:
    code = _code(odd=b"def (\n")
    assert _verified(code, _package(code)).package is not None
    whole = _package(_code(a_odd=b"def (\n", fast=b"x = 1\n"))
    assert "pinned files are missing: fast.py" in str(_refusal(_code(a_odd=b"def (\n"), whole))


def test_what_is_missing_is_said_of_the_own_pin() -> None:
    code = _code(helper=None)
    own, other = _package(CODE), _package(_code(fast=b"x = 1\n"), "hub:a/a")
    assert "pinned files are missing: helper.py\n" in str(_refusal(code, other, own))


ENTRIES = {
    "the class itself": ("m.py", "X", ("m.X",), True),
    "one of several": ("m.py", "X", ("m.W", "m.X"), True),
    "another class": ("m.py", "Y", ("m.X",), False),
    "a class in other letters": ("m.py", "x", ("m.X",), False),
    "a class of another file": ("helper.py", "X", ("m.X",), False),
    "any class of the file": ("m.py", ModuleRef.ANY, ("m.X",), True),
    "any class of another file": ("helper.py", ModuleRef.ANY, ("m.X",), False),
    "any class of a file with a dot": ("m.v1.py", ModuleRef.ANY, ("m.v1.X",), True),
    "a class of a file with a dot": ("m.v1.py", "X", ("m.v1.X",), True),
    "any class of a file in a folder": ("m.py", ModuleRef.ANY, ("sub/m.X",), False),
}  # fmt: skip


@pytest.mark.parametrize("case", ENTRIES)
def test_only_approved_entry_points_are_loaded(case: str) -> None:
    path, name, entry_points, good = ENTRIES[case]
    ref, package = ModuleRef(source=HUB, path=path, class_name=name), _package(CODE, entry_points=entry_points)
    if good:
        assert _verified(CODE, package, ref=ref).package == package
        return
    error = _refusal(CODE, package, ref=ref)
    assert isinstance(error, NotPinnedError)
    entry = f"{path.removesuffix('.py')}.{name}"
    assert str(error) == (
        f"[not-pinned] hub:our-org/model: {entry} is not an approved entry point of this code\n"
        f"  To continue: pin our-org/model --entry {entry}"
    )


def test_of_two_pins_of_the_same_bytes_the_one_that_approves_the_entry_point_holds() -> None:
    other = _package(CODE, "local:model", ("m.Y",))
    assert _verified(CODE, OWN, other, ref=replace(REF, class_name="Y")).package == other


DIFFERENT = {
    "a byte": (_code(helper=b"def scale(x): return 2 * x\n"), "changed helper.py"),
    "two files": (_code(helper=b"x = 1\n", m=b"class X: pass\n"), "changed helper.py, m.py"),
    "a file more": (_code(fast=b"x = 1\n"), "added fast.py"),
    "two files more": (_code(fast=b"x = 1\n", evil=b"x = 1\n"), "added evil.py, fast.py"),
    "both": (_code(helper=b"x = 1\n", fast=b"x = 1\n"), "changed helper.py; added fast.py"),
}  # fmt: skip


@pytest.mark.parametrize("case", DIFFERENT)
def test_other_bytes_than_the_pinned_ones_are_named(case: str) -> None:
    code, difference = DIFFERENT[case]
    error = _refusal(code, OWN, _package(_code(helper=b"x = 9\n"), "hub:a/a"), _package(_code(helper=b"x = 9\n"), "local:z"))
    assert isinstance(error, DigestMismatchError)
    assert str(error) == (
        f"[digest-mismatch] hub:our-org/model: the code is not the pinned one: {difference}\n"
        "  To continue: review the change: pin our-org/model --update"
    )


def test_the_difference_is_to_the_nearest_pin() -> None:
    """Wherever it lies in the order of the lock."""
    near = _package(_code(helper=b"x = 20\n"))
    farther = [_package(_code(helper=b"x = %d\n" % number, m=b"x = 1\n")) for number in range(1, 9)]
    assert {package.digest < near.digest for package in farther} == {True, False}
    for far in farther:
        assert "changed helper.py\n" in str(_refusal(_code(helper=b"x = 99\n"), far, near))


def test_what_no_pin_knows_is_not_pinned() -> None:
    for packages in ((), (_package(_code(helper=b"x = 1\n"), "hub:our-org/other"),)):
        error = _refusal(CODE, *packages)
        assert isinstance(error, NotPinnedError)
        assert str(error) == "[not-pinned] hub:our-org/model: this code is not pinned\n  To continue: pin our-org/model"


# --- the evidence ---------------------------------------------------------------------------------

MET = MetRule(rule="r", source=OWN.source, digest=OWN.digest, version=1, key_ids=frozenset("a"), expires=datetime(2099, 1, 1, tzinfo=UTC))


def test_evidence_is_about_the_very_package() -> None:
    verified = VerifiedSnapshot(snapshot=CODE, package=OWN, approved=(MET,))
    assert verified.approved == (MET,)
    for forged in (replace(MET, digest="sha256:" + "0" * 64), replace(MET, source="hub:our-org/other")):
        for approved in ((forged,), (MET, forged), (forged, MET)):
            with pytest.raises(ValueError, match="^an approval of another package$"):
                replace(verified, approved=approved)
    with pytest.raises(ValueError, match="^a rule is met by signatures$"):
        replace(MET, key_ids=frozenset())


def test_without_a_pin_the_digest_is_that_of_the_code() -> None:
    assert VerifiedSnapshot(snapshot=CODE, package=None, unsafe_unpinned=CODE.digest).package_digest == CODE.digest
    with pytest.raises(ValueError, match="^a verified snapshot has a pin$"):
        VerifiedSnapshot(snapshot=CODE, package=None)
    with pytest.raises(DigestMismatchError, match=r"^\[digest-mismatch\] hub:our-org/model: the pin is of other bytes$"):
        VerifiedSnapshot(snapshot=_code(helper=b"x = 1\n"), package=OWN)
