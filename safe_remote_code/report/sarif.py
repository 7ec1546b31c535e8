"""A report for code scanning: SARIF 2.1.0 (OASIS, https://docs.oasis-open.org/sarif/sarif/v2.1.0/).

A rule's help text is its documentation, the docstring that `safe-remote-code explain` prints. Findings
in a directory below the working directory are placed relative to it, which is what code scanning expects
of a checkout; findings in a Hub repository point to its page on the Hub at the commit that was read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from .. import __version__
from .detonation import run_document
from .rules import documentation, summary_of
from .visible import visible

if TYPE_CHECKING:
    from ..finding import Finding
    from ..policy import Policy
    from .examination import Examination, Standing

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS: Final[dict[Standing, str]] = {"refused": "error", "guarded": "warning", "note": "note"}


def _uri(examination: Examination, path: str) -> str:
    repo = examination.repo
    if repo.kind == "hub":
        kind = "" if repo.repo_type == "model" else f"{repo.repo_type}s/"
        revision = examination.commit or "main"
        return "https://huggingface.co/" + quote(f"{kind}{repo.location}/blob/{revision}/{path}")
    place = os.path.normpath(os.path.join(repo.location, path))
    near = os.path.relpath(place)
    if near.startswith(os.pardir):
        return Path(place).as_uri()
    return quote(PurePath(near).as_posix())


def _result(examination: Examination, finding: Finding, rules: list[str]) -> dict[str, object]:
    remedy = f" To continue: {finding.remedy}" if finding.remedy else ""
    region = {"startLine": finding.line, "startColumn": finding.column}
    place = {"artifactLocation": {"uri": _uri(examination, finding.path)}, "region": region}
    standing = examination.standing(finding)
    return {
        "ruleId": finding.rule,
        "ruleIndex": rules.index(finding.rule),
        "level": _LEVELS[standing],
        "message": {"text": visible(f"{finding.message}.{remedy}")},
        "locations": [{"physicalLocation": place}],
        "properties": {"source": str(examination.repo), "standing": standing, "capability": finding.capability},
    }


def _rule(rule: str) -> dict[str, object]:
    text = documentation(rule)
    return {
        "id": rule,
        "shortDescription": {"text": summary_of(text)},
        "fullDescription": {"text": summary_of(text)},
        "help": {"text": text},
    }


def sarif_report(examinations: Sequence[Examination], policy: Policy) -> str:
    """The report on `examinations`, all made under `policy`, as one run. Only ASCII is written."""
    rules = sorted({finding.rule for examination in examinations for finding in examination.findings})
    driver = {
        "name": "safe-remote-code",
        "semanticVersion": __version__,
        "rules": [_rule(rule) for rule in rules],
    }
    results = [_result(item, finding, rules) for item in examinations for finding in item.findings]
    trials = {str(item.repo): run_document(item.trial) for item in examinations if item.trial is not None}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "properties": {"policy": policy.name, **({"runs": trials} if trials else {})},
        "results": results,
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"
