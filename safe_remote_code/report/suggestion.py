"""The smallest grant under which a policy would admit some code.

Rules:

1. Only names that findings name are granted, letter by letter; never a wildcard.
2. A capability is granted only for a name that falls under it.
3. Whatever can be left out without a finding coming back is left out.
4. What no grant can lift (grammar, special names, writes to foreign objects) is listed as such.

It does not judge whether the grant is wise. The reader does.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, final

from ..admit import findings as admission_findings
from ..capability import shipped_capabilities
from ..patterns import PATTERN
from ..policy import Grant, Policy
from .toml import quoted, quoted_list
from .visible import visible

if TYPE_CHECKING:
    from ..analyse import Analysis
    from ..finding import Finding

_LIFTED: Final = frozenset({"ungranted-name", "ungranted-import"})
WHY: Final = "to be written: what this code needs it for, and who looked"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A grant to `source` (None: no grant helps, or none is needed), and what refuses in spite of it.

    `tombstones`: names that the code mentions and that stay ungranted, since it loads without them.
    """

    source: str
    grant: Grant | None
    remaining: tuple[Finding, ...]
    tombstones: tuple[str, ...]


def suggest(analysis: Analysis, policy: Policy, source: str, *, lift_tombstones: bool = False) -> Suggestion:
    """The smallest grant that admits the code to `policy`; with `lift_tombstones`, that leaves no name out."""
    case = _Case(analysis, policy, source, lift_tombstones)
    names = case.smallest()
    granted = case.policy_with(names)
    found = admission_findings(analysis, granted, source)
    return Suggestion(
        source=source,
        grant=case.grant(names),
        remaining=tuple(item for item in found if case.refuses(item)),
        tombstones=tuple(sorted({item.name for item in found if item.rule in _LIFTED and not case.refuses(item)})),
    )


@final
class _Case:
    """One question: which names must be granted so that nothing liftable is left?"""

    def __init__(self, analysis: Analysis, policy: Policy, source: str, lift_tombstones: bool) -> None:
        self._policy, self._source = policy, source
        self._all = lift_tombstones
        self._strict = policy.deferred == "refuse" or not policy.stands("guard")
        found = admission_findings(analysis, policy, source)
        self._names = frozenset(item.name for item in found if self._lifts(item))
        # Uses that are granted already stay granted; leaving them out makes each try quick.
        uses = tuple(use for use in analysis.uses if use.name in self._names)
        self._part = replace(analysis, uses=uses, findings=())

    def refuses(self, finding: Finding) -> bool:
        return finding.enforcement == "refuse" or (self._strict and finding.enforcement == "guard")

    def _lifts(self, finding: Finding) -> bool:
        ours = finding.rule in _LIFTED and PATTERN.fullmatch(finding.name) and not finding.name.startswith("builtins.")
        return bool(ours) and (self._all or self.refuses(finding))

    def _open(self, names: frozenset[str]) -> int:
        return sum(map(self._lifts, admission_findings(self._part, self.policy_with(names), self._source)))

    def smallest(self) -> frozenset[str]:
        names = self._names
        least = self._open(names)
        # Modules first: a granted function shows the module that it is in.
        for name in sorted(names, key=lambda item: (item.count("."), item)):
            if self._open(names - {name}) <= least:
                names -= {name}
        return names

    def grant(self, names: frozenset[str]) -> Grant | None:
        if not names:
            return None
        sinks = (shipped_capabilities().sink(name) for name in names)
        capabilities = sorted({sink.capability for sink in sinks if sink is not None})
        return Grant(names=tuple(sorted(names)), capabilities=tuple(capabilities),
                     sources=(glob.escape(self._source),), why=WHY)  # fmt: skip

    def policy_with(self, names: frozenset[str]) -> Policy:
        grant = self.grant(names)
        return self._policy if grant is None else replace(self._policy, grants=(*self._policy.grants, grant))


def suggestion_toml(suggestion: Suggestion, extends: str) -> str:
    """The policy file that adds the grant to the policy `extends`; valid for `policy check` as it stands.

    Raises:
        ValueError: there is no grant to write.
    """
    grant = suggestion.grant
    if grant is None:
        raise ValueError("nothing to write")
    lines = [f"# Suggested for {visible(suggestion.source)}. Read it before you use it: each name is a decision."]
    lines += [f"# No grant lifts: {visible(str(finding))}" for finding in suggestion.remaining]
    name = re.sub(r"[^a-z0-9]+", "-", suggestion.source.lower()).strip("-")
    lines += ["format = 1", f"name = {quoted(f'for-{name}')}", f"extends = [{quoted(extends)}]", "", "[[grant]]"]
    lines += [f"why = {quoted(grant.why)}", f"sources = {quoted_list(grant.sources)}"]
    lines += [f"names = {quoted_list(grant.names)}"] if grant.names else []
    lines += [f"capabilities = {quoted_list(grant.capabilities)}"] if grant.capabilities else []
    return "\n".join(lines) + "\n"
