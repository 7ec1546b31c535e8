"""Strings as TOML basic strings, in ASCII: what is hidden in them is spelt out."""

from __future__ import annotations

from collections.abc import Iterable


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if " " <= char <= "~":
        return char
    # TOML has no spelling for an unpaired surrogate (an undecodable file name); a question mark matches it in a glob.
    if "\ud800" <= char <= "\udfff":
        return "?"
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quoted(text: str) -> str:
    """`text` as a TOML basic string."""
    return f'"{"".join(map(_escaped, text))}"'


def quoted_list(texts: Iterable[str]) -> str:
    """`texts` as a TOML array, one a line when there are several."""
    items = [quoted(text) for text in texts]
    if len(items) < 2:
        return f"[{', '.join(items)}]"
    return "[\n" + "".join(f"    {item},\n" for item in items) + "]"
