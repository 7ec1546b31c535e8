"""Packages, approvals of them, and the policies that ask for these, for tests of trust."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, final

from safe_remote_code.lockfile import LockedPackage
from safe_remote_code.policy import Policy, load_policy
from safe_remote_code.reference import RepoSource
from safe_remote_code.signing import dsse
from safe_remote_code.signing.approval import Approval
from safe_remote_code.signing.keys import PrivateKey, PublicKey, generate
from safe_remote_code.signing.rotation import KeySet, rotation_payload
from safe_remote_code.signing.rules import TrustRule
from safe_remote_code.signing.statements import PAYLOAD_TYPE
from safe_remote_code.signing.store import package_folder, signature_folder, write_file
from safe_remote_code.verify.trust import MetRule, Surroundings, met_rules

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ALICE, BOB, CAROL, EVE = generate(), generate("ecdsa-p256"), generate(), generate()
SOURCE = "hub:our-org/model"
REPO = RepoSource(kind="hub", location="our-org/model")
PACKAGE = LockedPackage(
    source=SOURCE, commit="a" * 40, files={"modeling_x.py": "1" * 64, "helper.py": "2" * 64},
    entry_points=("modeling_x.X",), capabilities=("file-read",),
)  # fmt: skip


def rule(keys: list[PublicKey], threshold: int = 1, **changes: Any) -> TrustRule:
    given: dict[str, Any] = {
        "name": "our-org", "sources": ("hub:our-org/*",), "keys": frozenset(keys), "threshold": threshold,
        "expires": NOW + 30 * DAY, "why": "test",
    }  # fmt: skip
    return TrustRule(**(given | changes))


def policy(*rules: TrustRule, revoked: list[PublicKey] | None = None) -> Policy:
    return replace(load_policy("default"), trust=rules, revoked=frozenset(key.key_id for key in revoked or ()))


def approval(package: LockedPackage = PACKAGE, **changes: Any) -> Approval:
    given: dict[str, Any] = {
        "source": package.source, "commit": package.commit, "digest": package.digest,
        "entry_points": tuple(sorted(package.entry_points)), "capabilities": tuple(sorted(package.capabilities)),
        "version": 1, "issued": NOW - DAY, "expires": NOW + 10 * DAY,
    }  # fmt: skip
    return Approval(**(given | changes))


@final
@dataclass
class Project:
    """A folder with a lock file's signatures, and a memory."""

    folder: Path
    now: datetime = NOW
    count: int = field(default=0)

    @property
    def lockfile(self) -> Path:
        return self.folder / "remote-code.lock"

    @property
    def memory(self) -> Path:
        return self.folder / "state" / "seen.json"

    def sign(self, *keys: PrivateKey, package: LockedPackage = PACKAGE, **changes: Any) -> Path:
        return self.put(dsse.sign(approval(package, **changes).payload(), PAYLOAD_TYPE, list(keys)), package)

    def put(self, data: bytes, package: LockedPackage = PACKAGE, suffix: str = ".json") -> Path:
        self.count += 1
        path = package_folder(self.lockfile, package.digest) / f"s{self.count}{suffix}"
        write_file(path, data)
        return path

    def rotate(self, old: KeySet, new: KeySet, *keys: PrivateKey, **changes: Any) -> Path:
        given = {"rule": "our-org", "issued": NOW - DAY, "expires": NOW + 20 * DAY, "number": new.number} | changes
        number = given.pop("number")
        data = dsse.sign(rotation_payload(given["rule"], old, new, given["issued"], given["expires"]), PAYLOAD_TYPE, list(keys))
        path = signature_folder(self.lockfile) / "rotations" / "our-org" / f"{number}.json"
        write_file(path, data)
        return path

    def judge(self, asked: Policy, package: LockedPackage = PACKAGE, repo: RepoSource = REPO) -> tuple[MetRule, ...]:
        return met_rules(package, repo, asked, Surroundings(lockfile=self.lockfile, memory=self.memory, now=self.now))
