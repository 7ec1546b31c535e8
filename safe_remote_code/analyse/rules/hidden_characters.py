"""Characters that make a reader see other code than Python runs.

What
    Bidirectional controls, zero-width and other invisible characters, fillers that look like a space and may
    stand in identifiers, and control characters other than tab and newline, anywhere in the text. A form feed
    alone at the start of a line, an old way to part pages, is none of these.

Why it matters
    Bidirectional controls show a comment where there is code (Trojan Source, CVE-2021-42574); a form feed
    resets the indentation that the tokenizer sees; an invisible letter makes two names of one.

Example
    ``# harmless <U+202E>…``

Instead
    Write such characters as escapes in strings: ``"\\u200b"``.
"""

from __future__ import annotations

import ast
import re
import unicodedata
from typing import TYPE_CHECKING, Final

from ..context import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...finding import Finding
    from ..context import Context

_HIDDEN: Final = re.compile(
    "(?<=[^\n])\x0c|\x0c(?=[ \t\x0c])|"  # a form feed where it could hide an indentation
    "[\x00-\x08\x0b\x0d-\x1f\x7f-\x9f"  # other controls, vertical tab among them
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional
    "\u00ad\u034f\u180e\u200b\u200c\u2028\u2029\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb"  # invisible
    "\u115f\u1160\u17b4\u17b5\u3164\uffa0\U000e0000-\U000e007f]"  # fillers, tags
)
_MAX_FINDINGS: Final = 20


def _check(node: ast.AST, context: Context) -> Sequence[Finding]:
    text = context.walk.text
    found: list[Finding] = []
    for match in _HIDDEN.finditer(text):
        line, column = _at(text, match.start())
        what = unicodedata.name(match[0], "control character")
        found.append(context.finding_at(line, column, RULE.id, f"U+{ord(match[0]):04X} {what} in the source text"))
        if len(found) >= _MAX_FINDINGS:
            break
    return found


def _at(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


RULE = Rule(id="hidden-characters", nodes=(ast.Module,), check=_check, documentation=__doc__)
