"""A file that cannot be analysed.

What
    The file is not Python of this interpreter's version, or its syntax tree is too deep or too large
    (`limits.py` has the bounds).

Why it matters
    "Could not analyse" must never look like "nothing found": scanners that skipped what they could not
    parse were bypassed that way (fickling and picklescan, CVE-2025-71325; nullifAI). Deep nesting also
    crashes parsers.

Example
    ``x = ((((((…))))))`` with 200 brackets; a file with a syntax error that only another Python accepts.

Instead
    Fix the syntax; generate data files as JSON, not as Python.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...finding import Finding
from ..context import Rule

if TYPE_CHECKING:
    from ...errors import RefusedError

RULE = Rule(id="unreadable", documentation=__doc__)
_LINE = re.compile(r":(\d+)$")


def refusal(path: str, error: RefusedError) -> Finding:
    """The finding that stands for a refusal of the parser."""
    found = _LINE.search(error.subject)
    line = max(int(found[1]), 1) if found else 1
    return Finding(path=path, line=line, column=1, rule=RULE.id, message=f"could not be analysed: {error.message}")
