"""Approvals of a pinned package, as `verify --key` and `verify --trust` ask for them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SignatureError
from ..policy import load_policy
from ..signing.rotation import KeySet
from ..signing.rules import TrustRule
from ..signing.store import read_signatures
from ..signing.times import format_time
from ..verify.memory import default_memory
from ..verify.trust import MetRule, Surroundings, judge_rule, met_rules

if TYPE_CHECKING:
    from ..lockfile import LockedPackage
    from ..reference import RepoSource
    from ..signing.keys import PublicKey


def signed_by(package: LockedPackage, keys: tuple[PublicKey, ...], lockfile: Path) -> list[str]:
    """Lines that say that each of `keys` approved `package`.

    Raises:
        SignatureError: one did not, or a key was given twice.
    """
    distinct = frozenset(keys)
    if len(distinct) != len(keys):
        raise SignatureError("one of these keys is given twice, and would count once", subject=package.source)
    rule = TrustRule(
        name="command-line", sources=(package.source,), keys=distinct, threshold=len(distinct),
        expires=datetime.max.replace(tzinfo=UTC), why="--key",
    )  # fmt: skip
    signed = read_signatures(lockfile, package.digest)
    every = KeySet(keys=distinct, threshold=len(distinct))
    return _lines(judge_rule(rule, package, signed, every, datetime.now(UTC)))


def meets(package: LockedPackage, repo: RepoSource, policy: str, lockfile: Path) -> list[str]:
    """Lines that say how `package` meets the trust rules of `policy`.

    Raises:
        SignatureError: it does not, or no rule speaks of it.
    """
    around = Surroundings(lockfile=lockfile, memory=default_memory(), now=datetime.now(UTC))
    met = met_rules(package, repo, load_policy(policy), around)
    if not met:
        raise SignatureError(f"no trust rule of {policy} names this source", subject=package.source,
                             remedy="add a [[trust]] table with its pattern")  # fmt: skip
    return [line for rule in met for line in _lines(rule)]


def _lines(met: MetRule) -> list[str]:
    return [
        f"  {met.rule}: version {met.version}, until {format_time(met.expires)}, signed by",
        *(f"    {key_id}" for key_id in sorted(met.key_ids)),
    ]
