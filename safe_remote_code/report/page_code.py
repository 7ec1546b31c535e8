"""Lines of hostile code as HTML: escaped, with everything hidden spelt out and marked.

Guarantee: whatever the text, the result holds no markup but ours. A character that cannot be seen, or that
could reorder others, is spelt as Python would and named in a title; letters beyond ASCII in code are
underlined and named, for some look like others.
"""

from __future__ import annotations

import html
import itertools
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from .visible import visible

if TYPE_CHECKING:
    from .highlight import Span
    from .line_diff import DiffLine

#: In these, other scripts are ordinary.
_PROSE: Final = frozenset({"string", "comment"})
_CLASSES: Final = {"keyword": "k", "string": "s", "comment": "c", "number": "d", "name": "f"}


def plain(text: str) -> str:
    """`text` on one line, escaped, with hidden characters spelt out."""
    return html.escape(visible(text))


def code_html(text: str, spans: Sequence[Span], strong: tuple[int, int] | None = None) -> str:
    """One line of code in colour; characters `strong` of it are the ones that changed."""
    edges = {0, len(text), *(edge for span in spans for edge in (span.start, span.end)), *(strong or ())}
    cuts = sorted(edge for edge in edges if edge <= len(text))
    parts, waiting = [], list(reversed(spans))
    for start, end in itertools.pairwise(cuts):
        while waiting and waiting[-1].end <= start:
            waiting.pop()
        colour = waiting[-1].colour if waiting and waiting[-1].start <= start else None
        part = _marked(text[start:end], prose=colour in _PROSE)
        if colour is not None:
            part = f'<span class="{_CLASSES[colour]}">{part}</span>'
        if strong is not None and strong[0] <= start < strong[1]:
            part = f"<mark>{part}</mark>"
        parts.append(part)
    return "".join(parts)


def changed_parts(lines: Iterable[DiffLine]) -> dict[int, tuple[int, int]]:
    """For blocks with as many removed as added lines: by index in `lines`, the characters that differ."""
    found: dict[int, tuple[int, int]] = {}
    numbered = list(enumerate(lines))
    for same, group in itertools.groupby(numbered, key=lambda item: item[1].kind == "same"):
        block = list(group)
        removed = [(index, line.text) for index, line in block if line.kind == "removed"]
        added = [(index, line.text) for index, line in block if line.kind == "added"]
        if same or len(removed) != len(added):
            continue
        for (old_index, old), (new_index, new) in zip(removed, added, strict=True):
            head = _common(old, new)
            tail = min(_common(old[::-1], new[::-1]), len(old) - head, len(new) - head)
            if head + tail >= max(len(old), len(new)) // 3:
                found |= {old_index: (head, len(old) - tail), new_index: (head, len(new) - tail)}
    return found


def _common(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def _marked(text: str, *, prose: bool) -> str:
    if text.isascii() and text.replace("\t", "").isprintable():
        return html.escape(text)
    return "".join(_character(char, prose=prose) for char in text)


def _character(char: str, *, prose: bool) -> str:
    if char == "\t" or (char.isascii() and char.isprintable()):
        return html.escape(char)
    spelt = visible(char)
    title = html.escape(f"U+{ord(char):04X} {unicodedata.name(char, 'without a name')}")
    if spelt != char:
        return f'<b class="hidden" title="{title}">{html.escape(spelt)}</b>'
    return html.escape(char) if prose else f'<b class="foreign" title="{title}">{html.escape(char)}</b>'
