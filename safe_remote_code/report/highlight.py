"""Which parts of each line of Python are keywords, strings, comments, numbers: for colour only.

Nothing is judged by it: text that cannot be divided into tokens has no colour, and that is all.
"""

from __future__ import annotations

import io
import keyword
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, final

Colour = Literal["keyword", "string", "comment", "number", "name"]
_STRINGS: Final = frozenset({"STRING", "FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END"})
_DEFINES: Final = frozenset({"def", "class"})


@final
@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` (from 0, end excluded) of one line."""

    start: int
    end: int
    colour: Colour


def highlight(text: str) -> dict[int, list[Span]]:
    """Spans by line (from 1), in order and without overlap."""
    lines: dict[int, list[Span]] = {}
    widths = [len(line) for line in text.split("\n")]
    try:
        for token, colour in _coloured(text):
            for row in range(token.start[0], token.end[0] + 1):
                start = token.start[1] if row == token.start[0] else 0
                end = token.end[1] if row == token.end[0] else widths[row - 1]
                known = lines.setdefault(row, [])
                if start < end and (not known or known[-1].end <= start):
                    known.append(Span(start, end, colour))
    except (tokenize.TokenError, SyntaxError, ValueError, IndexError, RecursionError):
        return lines  # what came before the place that is not Python keeps its colour
    return lines


def _coloured(text: str) -> Iterator[tuple[tokenize.TokenInfo, Colour]]:
    before = ""
    for token in tokenize.generate_tokens(io.StringIO(text, newline="\n").readline):
        kind = tokenize.tok_name[token.type]
        if kind in _STRINGS:
            yield token, "string"
        elif kind == "COMMENT":
            yield token, "comment"
        elif kind == "NUMBER":
            yield token, "number"
        elif kind == "NAME" and keyword.iskeyword(token.string):
            yield token, "keyword"
        elif kind == "NAME" and before in _DEFINES:
            yield token, "name"
        before = token.string
