"""An identifier that Python reads as another one.

What
    An identifier with non-ASCII letters that normalises (NFKC, PEP 3131) to a plain ASCII name: ``ｅｖａｌ``.

Why it matters
    The reader, and every search for ``eval``, sees another name than the one that runs.

Example
    ``ｅｘｅｃ(text)``

Instead
    Write the name in ASCII.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import unicodedata
from typing import TYPE_CHECKING, Final

from ..context import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...finding import Finding
    from ..context import Context

_WORD: Final = re.compile(r"[A-Za-z0-9_]*[^\x00-\x7f\W]\w*")


def _disguised(word: str) -> bool:
    return not word.isascii() and unicodedata.normalize("NFKC", word).isascii()


def _check(node: ast.AST, context: Context) -> Sequence[Finding]:
    text = context.walk.text
    if text.isascii() or not any(_disguised(word) for word in set(_WORD.findall(text))):
        return ()
    found: list[Finding] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NAME and _disguised(token.string):
                found.append(_finding(token, context))
    except (tokenize.TokenError, SyntaxError) as error:
        found.append(context.finding(node, RULE.id, f"identifiers could not be read: {error}"))
    return found


def _finding(token: tokenize.TokenInfo, context: Context) -> Finding:
    name = unicodedata.normalize("NFKC", token.string)
    line, column = token.start
    return context.finding_at(line, column + 1, RULE.id, f"an identifier that Python reads as {name}", name)


RULE = Rule(id="disguised-name", nodes=(ast.Module,), check=_check, documentation=__doc__)
