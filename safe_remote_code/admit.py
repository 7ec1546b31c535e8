"""Stage 3b: may this verified, analysed code run under this policy?

The allowlist decides, the findings explain. All reasons are collected before the refusal.

1. A use of a library name is granted if the policy lists the name, or an object that it is an attribute
   of, and no ungranted capability stands against it. A granted module is not a grant of what is in it.
2. What is not granted, and surely runs at import, refuses; so does a use of a sink that may not be deferred.
   Everything else waits for the guard, which binds a tombstone.
3. With the guard wall off, nothing waits. Where a policy wants nothing to wait (`deferred = "refuse"`), a name that the
   guard answers with a replacement is still no reason to refuse: there is nothing left to find out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, final

from .analyse.builtin_names import is_plain_builtin, is_refused_builtin
from .capability import shipped_capabilities
from .errors import PolicyError
from .finding import Finding

if TYPE_CHECKING:
    from .analyse import Analysis, Use
    from .capability import Sinks
    from .finding import Enforcement
    from .policy import Granted, Policy
    from .verify import VerifiedSnapshot

#: What the guard answers with a replacement: no question is left open, so it may run wherever the guard stands.
_ANSWERED: Final = "mediated-name"


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
        package = self.verified.package
        if package is not None:
            wanted = {rule.name for rule in self.policy.trust_for(package.source)}
            if not wanted <= {met.rule for met in self.verified.approved}:
                raise ValueError("a trust rule of the policy was not judged")
        judge(self.analysis, self.policy, self.source)

    @property
    def granted(self) -> Granted:
        """What the policy grants this source."""
        return self.policy.granted(self.source)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What the policy says of one dotted name."""

    granted: bool
    replaced: bool = False  # granted, as a replacement that the guard provides
    listed: bool = False  # the policy lists this very name, but a capability stands against it
    maybe: bool = False  # inside something that a wildcard grants, which may be a module
    module: bool = False  # nothing but a module in which something is granted
    sink: Sinks | None = None


def findings(analysis: Analysis, policy: Policy, source: str) -> tuple[Finding, ...]:
    """Every finding about the code under `policy`, sorted by place: what refuses, what the guard holds, notes."""
    granted = policy.granted(source)
    verdicts: dict[str, _Verdict] = {}
    packages = {use.name.rpartition(".")[0] for use in analysis.uses if use.how == "import"}
    found = [*analysis.findings, *(() if policy.stands("guard") else analysis.unguarded)]
    spoken = {(item.path, item.line, item.column) for item in found if item.rule == "library-as-value"}
    for use in analysis.uses:
        if is_plain_builtin(use.name) or is_refused_builtin(use.name):
            continue  # the guard has the first ones; refused-builtin has spoken of the others
        if use.name not in verdicts:
            verdicts[use.name] = _verdict(use.name, granted, packages)
        if not (verdicts[use.name].module and (use.path, use.line, use.column) in spoken):
            found += _judge_use(use, verdicts[use.name], source)
    return tuple(sorted(set(found)))


def _verdict(name: str, granted: Granted, packages: set[str]) -> _Verdict:
    sink = shipped_capabilities().sink(name)
    stands_against = sink is not None and sink.capability not in granted.capabilities
    owner = _granted_object(name, granted)
    if owner is not None and granted.replaced.match(owner) == "exact":
        return _Verdict(granted=True, replaced=True, sink=sink)
    if stands_against:
        return _Verdict(granted=False, listed=granted.names.match(name) == "exact", sink=sink)
    module = owner is None and granted.names.covers_below(name)
    parent = name.rpartition(".")[0]
    maybe = owner is None and parent not in packages and granted.names.match(parent) is not None
    return _Verdict(granted=owner is not None, module=module, maybe=maybe)


def _granted_object(name: str, granted: Granted) -> str | None:
    """The longest leading part of `name` that is granted and is an object of a library."""
    owner = name
    while owner:
        match = granted.names.match(owner)
        if match == "exact" or (match == "wildcard" and (owner == name or not _may_be_module(owner))):
            return owner
        owner = owner.rpartition(".")[0]
    return None


def _may_be_module(name: str) -> bool:
    """A wildcard grant shows submodules too, and what they hold needs a grant of its own; classes are capitalised."""
    return name.rpartition(".")[2].lstrip("_")[:1].islower()


def _judge_use(use: Use, verdict: _Verdict, source: str) -> list[Finding]:
    if verdict.replaced:
        if use.how == "import":
            return []
        return [_finding(use, verdict, source, _ANSWERED, f"{use.name} is replaced under the guard", "guard")]
    if verdict.granted or use.how == "store":  # foreign-write has spoken of stores
        return []
    if use.how == "import":
        if verdict.module:
            return []
        return [_finding(use, verdict, source, "ungranted-import", f"{use.name} is not granted", "guard")]
    if verdict.module:
        message = f"{use.name} is a module of which only parts are granted"
        return [_finding(use, verdict, source, "ungranted-name", message, "guard")]
    return [_finding(use, verdict, source, "ungranted-name", _message(use, verdict.sink), _enforcement(use, verdict))]


def _message(use: Use, sink: Sinks | None) -> str:
    return f"{use.name} is not granted" + (f" ({sink.capability}: {sink.why})" if sink else "")


def _enforcement(use: Use, verdict: _Verdict) -> Enforcement:
    if verdict.listed or verdict.maybe or use.name.startswith("builtins."):
        return "guard"
    if verdict.sink is not None and not verdict.sink.defer:
        return "refuse"
    return "refuse" if use.when == "import" and use.how == "call" else "guard"


def _finding(use: Use, verdict: _Verdict, source: str, rule: str, message: str, enforcement: Enforcement) -> Finding:
    capability = verdict.sink.capability if verdict.sink else ""
    remedy = "" if verdict.replaced else _remedy(use.name, capability, source)
    return Finding(
        path=use.path, line=use.line, column=use.column, rule=rule, message=message, remedy=remedy,
        capability=capability, name=use.name, enforcement=enforcement,
    )  # fmt: skip


def _remedy(name: str, capability: str, source: str) -> str:
    capabilities = f', capabilities = ["{capability}"]' if capability else ""
    return f'if you trust it, grant names = ["{name}"]{capabilities} to sources = ["{source}"]'


def _enforced(found: tuple[Finding, ...], policy: Policy) -> tuple[Finding, ...]:
    """Without the guard, or if the policy wants it, what would wait for the guard refuses as well."""
    stands = policy.stands("guard")
    if stands and policy.deferred == "guard":
        return found

    def waits(item: Finding) -> bool:
        return item.enforcement == "guard" and not (stands and item.rule == _ANSWERED)

    return tuple(replace(item, enforcement="refuse") if waits(item) else item for item in found)


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
    found = _enforced(findings(analysis, policy, source), policy)
    refusing = tuple(sorted(item for item in found if item.enforcement == "refuse"))
    if refusing:
        number = "1 finding" if len(refusing) == 1 else f"{len(refusing)} findings"
        raise PolicyError(
            f"policy {policy.name!r} refuses this code: {number}", subject=source, findings=refusing,
            remedy=_judge_remedy(refusing, source),
        )  # fmt: skip


def _judge_remedy(refusing: tuple[Finding, ...], source: str) -> str:
    # A folder goes by its last part; whoever loaded it knows the rest of its path.
    where = f"path/to/{source[6:]}" if source.startswith("local:") else source.removeprefix("hub:")
    remedy = f"read the report of `safe-remote-code audit {where}`"
    if any(item.rule.startswith("ungranted-") for item in refusing):
        remedy += f"; if you trust the code, `safe-remote-code policy suggest {where}` prints the grant that it needs"
    return remedy


def admit(verified: VerifiedSnapshot, analysis: Analysis, policy: Policy, source: str) -> AdmittedSnapshot:
    """`verified`, admitted.

    Raises:
        PolicyError: the policy refuses it; `findings` holds every reason.
    """
    return AdmittedSnapshot(verified=verified, analysis=analysis, policy=policy, source=source)
