"""A report for programs: JSON with a format version. Only ASCII, so that no hidden character gets through.

`format` changes when a key is removed or changes its meaning; new keys may come at any time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from .. import __version__
from .detonation import run_document

if TYPE_CHECKING:
    from ..finding import Finding
    from ..policy import Policy
    from .examination import Examination

FORMAT: Final = 1


def _finding(examination: Examination, finding: Finding) -> dict[str, object]:
    return {
        "rule": finding.rule,
        "standing": examination.standing(finding),
        "path": finding.path,
        "line": finding.line,
        "column": finding.column,
        "message": finding.message,
        "remedy": finding.remedy,
        "capability": finding.capability,
        "name": finding.name,
    }


def _source(examination: Examination) -> dict[str, object]:
    code, analysis = examination.snapshot, examination.analysis
    return {
        "source": str(examination.repo),
        "location": examination.repo.location,
        "commit": examination.commit,
        "digest": code.digest if code else None,
        "verdict": "refused" if examination.of_standing("refused") else "clean",
        "still_loads": list(examination.unhindered),
        "capabilities": sorted(analysis.capabilities) if analysis else [],
        "files": code.manifest if code else {},
        "not_examined": list(examination.unreached),
        "other_repositories": list(examination.foreign),
        "run": run_document(examination.trial),
        "findings": [_finding(examination, finding) for finding in examination.findings],
    }


def json_report(examinations: Sequence[Examination], policy: Policy) -> str:
    """The report on `examinations`, all made under `policy`."""
    document = {
        "format": FORMAT,
        "tool": {"name": "safe-remote-code", "version": __version__},
        "policy": policy.name,
        "sources": [_source(examination) for examination in examinations],
    }
    return json.dumps(document, indent=2) + "\n"
