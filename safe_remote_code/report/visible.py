"""Hostile text made visible, so that what a person sees is what is there.

Guarantee: the result holds no control character, no ANSI escape, no bidirectional override, no
zero-width or other format character, no line or paragraph separator, no unpaired surrogate, no
unassigned or private character. Each is spelt as Python would spell it in a string (``\\x1b``,
``\\u202e``). Letters of all scripts stay; look-alikes are not marked.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

#: Control, format, surrogate, private, unassigned; line, paragraph and odd space separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})


@lru_cache(maxsize=4096)
def _spell(char: str) -> str:
    if char == " " or unicodedata.category(char) not in _HIDDEN:
        return char
    code = ord(char)
    if code < 0x100:
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible(text: str) -> str:
    """`text` on one line, with everything hidden spelt out."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_spell, text))


def visible_lines(text: str) -> list[str]:
    """The lines of `text` (divided at newlines only), tabs expanded, everything else hidden spelt out."""
    return [visible(line.expandtabs(4)) for line in text.split("\n")]
