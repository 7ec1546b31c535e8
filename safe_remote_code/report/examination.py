"""One repository, looked at under one policy: the value that every report prints.

Guarantee: an `Examination` speaks of one digest, and says what it could not look at. What refuses
under the policy is counted as the loader would count it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, final

from ..admit import findings as admission_findings
from ..analyse import analyse
from ..analyse.rules import unreadable
from ..config_audit import audit_configs, dangling_entries, foreign_repositories
from ..errors import FetchError, MissingFileError, RefusedError
from ..fetch import fetch
from ..fetch.entry_points import read_configs, references
from ..finding import Finding
from ..pinning import entry_roots, package_snapshot
from . import source_not_allowed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..analyse import Analysis
    from ..fetch import Source
    from ..policy import Policy
    from ..reference import RepoSource
    from ..snapshot import Snapshot
    from ..worker.detonation import Trial

Standing = Literal["refused", "guarded", "note"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found in `repo` at `commit`. `analysis` is None if there is no code that could be read.

    `closures`: for each file that offers a class, the files that loading it needs. The loader admits by closure.
    `trial`: how it was run, if it was.
    """

    repo: RepoSource
    commit: str | None
    policy: Policy = field(repr=False)
    snapshot: Snapshot | None = field(default=None, repr=False)
    analysis: Analysis | None = field(default=None, repr=False)
    findings: tuple[Finding, ...] = ()
    foreign: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()
    closures: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)
    trial: Trial | None = None

    def __post_init__(self) -> None:
        digests = {part.digest for part in (self.snapshot, self.analysis) if part is not None}
        if (self.snapshot is None) != (self.analysis is None) or len(digests) > 1:
            raise ValueError("snapshot and analysis speak of the same code")

    def standing(self, finding: Finding) -> Standing:
        """What the finding comes to under the policy; without a guard, what is left to it refuses."""
        if finding.enforcement == "note":
            return "note"
        to_guard = self.policy.deferred == "guard" and self.policy.stands("guard")
        return "guarded" if finding.enforcement == "guard" and to_guard else "refused"

    def of_standing(self, standing: Standing) -> tuple[Finding, ...]:
        """The findings that come to `standing`."""
        return tuple(finding for finding in self.findings if self.standing(finding) == standing)

    @property
    def unhindered(self) -> tuple[str, ...]:
        """Files that offer a class and that load although something else of the repository is refused."""
        refused = {finding.path for finding in self.of_standing("refused")}
        return tuple(path for path, needs in sorted(self.closures.items()) if not needs & refused)


@final
class _Held:
    """`Source` over files that were read already."""

    def __init__(self, source: Source, code: Snapshot) -> None:
        self.repo, self.commit, self._code = source.repo, source.commit, code

    def read(self, path: str, max_bytes: int) -> bytes:
        if path not in self._code:
            raise MissingFileError("no such file", subject=path)
        return self._code[path].data

    def python_files(self) -> list[str]:
        return [file.path for file in self._code.files]


def _closures(source: Source, code: Snapshot) -> dict[str, frozenset[str]]:
    held = _Held(source, code)
    roots = [path for path in entry_roots(source)[0] if path in code]
    return {root: frozenset(fetch(held, [root]).manifest) for root in roots}


def _path_of(error: RefusedError) -> str:
    return error.subject.rpartition("/")[2] if error.subject.endswith((".py", ".json")) else "."


def _unreadable(error: RefusedError) -> Finding:
    return Finding(path=_path_of(error), line=1, column=1, rule=unreadable.RULE.id, message=error.message,
                   remedy=error.remedy or "code that cannot be read is never loaded")  # fmt: skip


def _foreign(source: Source) -> tuple[str, ...]:
    own = source.repo.location
    named = foreign_repositories(list(read_configs(source).values()))
    return tuple(repo for repo in named if repo != own)


def _unreached(source: Source, code: Snapshot | None) -> tuple[str, ...]:
    try:
        present = source.python_files()
    except FetchError:
        return ()  # offline: what cannot be listed cannot be loaded either without being fetched and pinned
    return tuple(path for path in present if code is None or path not in code)


def _source_findings(source: Source, policy: Policy) -> list[Finding]:
    if policy.allows_source(str(source.repo)):
        return []
    message = "the policy does not allow this source"
    return [Finding(path=".", line=1, column=1, rule=source_not_allowed.RULE, message=message,
                    remedy="list it under [sources] allow in your policy")]  # fmt: skip


def _code(source: Source) -> tuple[Snapshot | None, list[Finding]]:
    if not references(source) and not source.python_files():
        if read_configs(source):
            return None, []
        return None, [_unreadable(RefusedError("neither Python files nor configuration: is it a model repository?"))]
    try:
        return package_snapshot(source), []
    except RefusedError as error:
        return None, [_unreadable(error)]


def examine(source: Source, policy: Policy, code: Snapshot | None = None) -> Examination:
    """Everything that can be said about the code of `source` without running it; `code` if it was read before.

    Raises:
        FetchError: it could not be read.
    """
    found = _source_findings(source, policy)
    try:
        if code is None:
            code, unreadable = _code(source)
            found += unreadable
        found += audit_configs(source)
        found += dangling_entries(source, code) if code is not None else ()
        foreign = _foreign(source)
    except RefusedError as error:
        found.append(_unreadable(error))
        foreign = ()
    analysis = analyse(code) if code is not None else None
    if analysis is not None:
        found += admission_findings(analysis, policy, str(source.repo))
    return Examination(
        repo=source.repo,
        commit=source.commit,
        policy=policy,
        snapshot=code,
        analysis=analysis,
        findings=tuple(sorted(found)),
        foreign=foreign,
        unreached=_unreached(source, code),
        closures=_closures(source, code) if code is not None else {},
    )
