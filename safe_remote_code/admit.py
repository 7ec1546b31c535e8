"""Stage 3b: may this verified, analysed code run under this policy?

The allowlist decides, the findings explain. All reasons are collected before the refusal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from .errors import PolicyError

if TYPE_CHECKING:
    from .analyse import Analysis
    from .finding import Finding
    from .policy import Granted, Policy
    from .verify import VerifiedSnapshot


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedSnapshot:
    """A verified snapshot whose analysis, of the same digest, the policy admits for `source`."""

    verified: VerifiedSnapshot
    analysis: Analysis
    policy: Policy = field(repr=False)
    source: str

    def __post_init__(self) -> None:
        if self.analysis.digest != self.verified.snapshot.digest:
            raise ValueError("the analysis is of another snapshot")
        judge(self.analysis, self.policy, self.source)

    @property
    def granted(self) -> Granted:
        """What the policy grants this source."""
        return self.policy.granted(self.source)


def findings(analysis: Analysis, policy: Policy, source: str) -> tuple[Finding, ...]:
    """Every finding about the code under `policy`, sorted by place: what refuses, what the guard holds, notes."""
    return analysis.findings


def judge(analysis: Analysis, policy: Policy, source: str) -> None:
    """Raise if the policy does not admit the code.

    Raises:
        PolicyError: with every finding that refuses.
    """
    if not policy.allows_source(source):
        raise PolicyError("the policy does not allow this source", subject=source,
                          remedy="list it under [sources] allow in your policy")  # fmt: skip
    if not policy.stands("analysis"):
        return


def admit(verified: VerifiedSnapshot, analysis: Analysis, policy: Policy, source: str) -> AdmittedSnapshot:
    """`verified`, admitted.

    Raises:
        PolicyError: the policy refuses it; `findings` holds every reason.
    """
    return AdmittedSnapshot(verified=verified, analysis=analysis, policy=policy, source=source)
