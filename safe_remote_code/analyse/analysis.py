"""Findings and uses of one snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, final

if TYPE_CHECKING:
    from ..finding import Finding
    from ..snapshot import Snapshot

When = Literal["import", "conditional", "call"]
How = Literal["import", "load", "call", "store"]


@final
@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Use:
    """One place where code spells a dotted name of a library (or `builtins.x`).

    `when` it runs: `import` (surely, at import), `conditional` (at import, but under `if`, `try`,
    `with` or a loop), `call` (inside a function). `how` it is used: bound by an import, read,
    called, or assigned to.
    """

    path: str
    line: int
    column: int
    name: str
    when: When
    how: How


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What the analysis of the snapshot with digest `digest` found; independent of any policy."""

    digest: str
    findings: tuple[Finding, ...] = field(repr=False)
    uses: tuple[Use, ...] = field(repr=False)
    capabilities: tuple[str, ...] = ()


def analyse(snapshot: Snapshot) -> Analysis:
    """Analyse every file of `snapshot`. Never raises for what the code holds: that is a finding."""
    return Analysis(digest=snapshot.digest, findings=(), uses=())
