"""Trust: a pinned package counts as approved only if every trust rule of the policy about it is met.

Where no rule names the source, the pin alone holds. Where one does, there is no way around it: no
signature, fewer than the threshold, or signatures that say something else are all the same refusal.

Proof, whose numbers the code repeats:

1. every rule that names the source that is loaded, or the source it was pinned for, is judged; for a Hub
   repository that a rule names, the pin is its own, so that an approval of another repository does not pass;
2. the clock has not gone back since the last load;
3. the rule's keys are those after its rotations, without the revoked ones, and not expired;
4. a signature counts if one of these keys made it, and it says exactly this lock entry: source, commit,
   digest, entry points, capabilities; and now is between its issue and its expiry;
5. the distinct keys of one version reach the threshold, in a version not under the rule's minimum;
6. neither that version nor the number of rotations is lower than what was seen in this project before.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

from ..errors import SignatureError
from ..signing import dsse
from ..signing.approval import Approval, parse_approval
from ..signing.rotation import KeySet, current_keys
from ..signing.ssh import verify_ssh
from ..signing.statements import PAYLOAD_TYPE
from ..signing.store import read_rotations, read_signatures
from ..signing.times import CLOCK_SKEW, format_time
from .memory import recall, remember

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from ..lockfile import LockedPackage
    from ..policy import Policy
    from ..reference import RepoSource
    from ..signing.keys import PublicKey
    from ..signing.rules import TrustRule
    from ..signing.store import Signed
    from .pins import VerifiedSnapshot


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MetRule:
    """A trust rule that is met for one package: by whom, in which version, until when."""

    rule: str
    source: str
    digest: str
    version: int
    key_ids: frozenset[str]
    expires: datetime

    def __post_init__(self) -> None:
        if not self.key_ids:
            raise ValueError("a rule is met by signatures")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where signatures and memory lie, and what time it is."""

    lockfile: Path
    memory: Path
    now: datetime


def approved(verified: VerifiedSnapshot, repo: RepoSource, policy: Policy, around: Surroundings) -> VerifiedSnapshot:
    """`verified`, with the proof that each trust rule about it is met.

    Raises:
        SignatureError: one is not. DocumentError: signatures or memory cannot be read.
    """
    if verified.package is None:
        return verified  # the identity wall is off, which was warned of
    return replace(verified, approved=met_rules(verified.package, repo, policy, around))


def met_rules(package: LockedPackage, repo: RepoSource, policy: Policy, around: Surroundings) -> tuple[MetRule, ...]:
    """How each trust rule about `package`, loaded from `repo`, is met; empty if there is none.

    Raises:
        SignatureError, DocumentError: as `approved`.
    """
    rules = required_rules(package, repo, policy)  # 1
    if not rules:
        return ()
    seen = recall(around.memory)
    seen.check_clock(around.now)  # 2
    signed = read_signatures(around.lockfile, package.digest)
    met, numbers, project = [], dict[str, int](), os.path.realpath(around.lockfile)
    for rule in rules:
        keys = current_keys(rule, read_rotations(around.lockfile, rule.name), policy.revoked, around.now)  # 3
        met.append(judge_rule(rule, package, signed, keys, around.now))
        numbers[f"{project}: {package.source} under {rule.name}"] = met[-1].version
        root = KeySet(keys=rule.keys, threshold=rule.threshold).identity
        numbers[f"{project}: rotations of {rule.name} from {root[:16]}"] = keys.number
    forget = f"restore what was signed last, or accept it: safe-remote-code trust forget {package.source}"
    seen.check_numbers(numbers, forget)  # 6
    remember(around.memory, {name: number for name, number in numbers.items() if number}, around.now)
    return tuple(met)


def required_rules(package: LockedPackage, repo: RepoSource, policy: Policy) -> tuple[TrustRule, ...]:
    """The rules that `package` must meet to be loaded from `repo`.

    Raises:
        SignatureError: a rule names the Hub repository `repo`, but the pin is of another source.
    """
    name = str(repo)
    own = policy.trust_for(name)
    if own and repo.kind == "hub" and package.source != name:
        raise SignatureError(
            f"trust rule {own[0].name} wants this repository's own approval, but its code is pinned as that of "
            f"{package.source}", subject=name, remedy=f"safe-remote-code pin {repo.location}, then sign it",
        )  # fmt: skip
    # A copy in a folder has no name of its own that anybody signed: rules about it are met by what it is a copy of.
    return tuple(dict.fromkeys([*own, *policy.trust_for(package.source)]))


def judge_rule(
    rule: TrustRule, package: LockedPackage, signed: Iterable[Signed], keys: KeySet, now: datetime
) -> MetRule:
    """How `rule`, whose keys are now `keys`, is met for `package` by what is `signed`.

    Raises:
        SignatureError: it is not.
    """
    threshold = keys.threshold
    by_version: dict[int, dict[str, datetime]] = {}
    reasons = []
    for item in signed:
        try:
            approval, key_ids = _counted(item, package, keys.keys, now)
        except SignatureError as error:
            reasons.append(f"{item.name}: {error.message}")
            continue
        signers = by_version.setdefault(approval.version, {})
        for key_id in key_ids:
            signers[key_id] = max(approval.expires, signers.get(key_id, approval.expires))
    reached = [version for version, signers in by_version.items() if len(signers) >= threshold]
    if not reached:  # 5
        raise _unmet(rule, package, threshold, by_version, reasons)
    version = max(reached)
    if version < rule.minimum_version:  # 5
        raise SignatureError(f"version {version} is under the minimum of trust rule {rule.name}, "
                             f"{rule.minimum_version}", subject=package.source,
                             remedy="pin and sign the current code")  # fmt: skip
    return MetRule(rule=rule.name, source=package.source, digest=package.digest, version=version,
                   key_ids=frozenset(by_version[version]), expires=min(by_version[version].values()))  # fmt: skip


def _counted(
    item: Signed, package: LockedPackage, keys: frozenset[PublicKey], now: datetime
) -> tuple[Approval, frozenset[str]]:
    """The approval in `item` and the trusted keys that made it.

    Raises:
        SignatureError: it does not count.
    """
    if item.ssh_signature is None:
        verified = dsse.verify(item.data, PAYLOAD_TYPE, keys)
    else:
        verified = verify_ssh(item.ssh_signature, item.data, keys)
    approval = parse_approval(verified.payload)
    check_says(approval, package)  # 4
    if approval.issued > now + CLOCK_SKEW:
        raise SignatureError(f"issued in the future, at {format_time(approval.issued)}")
    if approval.expires <= now:
        raise SignatureError(f"expired at {format_time(approval.expires)}")
    return approval, verified.key_ids


def check_says(approval: Approval, package: LockedPackage) -> None:
    """Return if `approval` speaks of exactly the entry `package`.

    Raises:
        SignatureError: of something else; the first difference is named.
    """
    pairs = {
        "source": (approval.source, package.source),
        "commit": (approval.commit, package.commit),
        "digest": (approval.digest, package.digest),
        "entry points": (approval.entry_points, tuple(sorted(package.entry_points))),
        "capabilities": (approval.capabilities, tuple(sorted(package.capabilities))),
    }
    for what, (said, locked) in pairs.items():
        if said != locked:
            raise SignatureError(f"an approval of another {what}: {said!r:.120}")


def _unmet(
    rule: TrustRule, package: LockedPackage, threshold: int, by_version: dict[int, dict[str, datetime]],
    reasons: list[str],
) -> SignatureError:  # fmt: skip
    best = max((len(signers) for signers in by_version.values()), default=0)
    several = " in any one version" if len(by_version) > 1 else ""
    listed = "".join(f"\n  {reason}" for reason in reasons)
    return SignatureError(
        f"trust rule {rule.name} needs {threshold} distinct keys, and {best} signed{several}{listed}",
        subject=package.source, remedy=f"have it signed: safe-remote-code sign {package.source} --key KEY",
    )  # fmt: skip
