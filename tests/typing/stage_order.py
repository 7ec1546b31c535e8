"""Every wrong order of the stages is an error of types. Never imported: `test_typing.py` gives it to mypy.

Under `mypy --strict` a `type: ignore` that is not needed is an error itself, so this is a compile-fail
test: if some stage began to take what an earlier stage makes, its line here would fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safe_remote_code.admit import AdmittedSnapshot, admit, judge
from safe_remote_code.analyse import Analysis, analyse
from safe_remote_code.execute import LoadedPackage
from safe_remote_code.execute.source_store import lay_out
from safe_remote_code.fetch import fetch
from safe_remote_code.guard import GuardedPackage, guard
from safe_remote_code.pipeline import load_package
from safe_remote_code.snapshot import Snapshot, SourceFile, snapshot
from safe_remote_code.verify import VerifiedSnapshot, verify

if TYPE_CHECKING:
    from pathlib import Path

    from safe_remote_code.fetch import Source
    from safe_remote_code.lockfile import Lock
    from safe_remote_code.policy import Policy
    from safe_remote_code.reference import ModuleRef


def right_order(
    ref: ModuleRef, source: Source, lock: Lock, policy: Policy, loaded: LoadedPackage, folder: Path
) -> None:
    fetched: Snapshot = fetch(source, [ref.path])
    verified: VerifiedSnapshot = verify(fetched, ref, lock, pin_command="")
    analysis: Analysis = analyse(verified.snapshot)
    admitted: AdmittedSnapshot = admit(verified, analysis, policy, "local:x")
    guarded: GuardedPackage = guard(admitted, str(folder))
    lay_out(verified.snapshot, folder)
    loaded.extend(guarded)


def unverified(fetched: Snapshot, analysis: Analysis, policy: Policy, loaded: LoadedPackage) -> None:
    admit(fetched, analysis, policy, "local:x")  # type: ignore[arg-type]
    guard(fetched, "")  # type: ignore[arg-type]
    loaded.extend(fetched)  # type: ignore[arg-type]
    AdmittedSnapshot(verified=fetched, analysis=analysis, policy=policy, source="local:x")  # type: ignore[arg-type]


def unadmitted(verified: VerifiedSnapshot, analysis: Analysis, policy: Policy, loaded: LoadedPackage) -> None:
    analyse(verified)  # type: ignore[arg-type]
    guard(verified, "")  # type: ignore[arg-type]
    loaded.extend(verified)  # type: ignore[arg-type]
    judge(verified, policy, "local:x")  # type: ignore[arg-type]
    GuardedPackage(admitted=verified, modules={}, guarded=True)  # type: ignore[arg-type]


def unanalysed(verified: VerifiedSnapshot, fetched: Snapshot, policy: Policy) -> None:
    admit(verified, fetched, policy, "local:x")  # type: ignore[arg-type]
    admit(verified, None, policy, "local:x")  # type: ignore[arg-type]
    admit(verified, policy, "local:x")  # type: ignore[call-arg]


def unguarded(admitted: AdmittedSnapshot, fetched: Snapshot, loaded: LoadedPackage) -> None:
    loaded.extend(admitted)  # type: ignore[arg-type]
    loaded.extend(fetched)  # type: ignore[arg-type]
    GuardedPackage(admitted=admitted, modules={"a.py": fetched}, guarded=True)  # type: ignore[dict-item]


def paths_cross_no_stage(path: Path, ref: ModuleRef, lock: Lock, source: Source) -> None:
    analyse(path)  # type: ignore[arg-type]
    verify(path, ref, lock, pin_command="")  # type: ignore[arg-type]
    guard(path, "")  # type: ignore[arg-type]
    snapshot([path])  # type: ignore[list-item]
    SourceFile(path=path, data=b"")  # type: ignore[arg-type]
    SourceFile(path="a.py", data="text")  # type: ignore[arg-type]
    fetch(source, path)  # type: ignore[arg-type]


def backwards(verified: VerifiedSnapshot, admitted: AdmittedSnapshot, ref: ModuleRef, lock: Lock) -> None:
    verify(verified, ref, lock, pin_command="")  # type: ignore[arg-type]
    verify(admitted, ref, lock, pin_command="")  # type: ignore[arg-type]
    analyse(admitted)  # type: ignore[arg-type]


def names_are_not_values(verified: VerifiedSnapshot, analysis: Analysis, lock: Lock, fetched: Snapshot) -> None:
    load_package("repo--module.Class")  # type: ignore[arg-type]
    admit(verified, analysis, "default", "local:x")  # type: ignore[arg-type]
    verify(fetched, "module.Class", lock, pin_command="")  # type: ignore[arg-type]


def values_are_fixed(fetched: Snapshot, verified: VerifiedSnapshot, analysis: Analysis) -> None:
    fetched.digest = "sha256:" + "0" * 64  # type: ignore[misc]
    fetched.files = ()  # type: ignore[misc]
    verified.snapshot = fetched  # type: ignore[misc]
    analysis.findings = ()  # type: ignore[misc]


class _Forged(VerifiedSnapshot):  # type: ignore[misc]
    pass
