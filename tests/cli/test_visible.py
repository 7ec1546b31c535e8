"""What is printed holds nothing hidden, and honest text is left alone."""

from __future__ import annotations

import tomllib
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from safe_remote_code.report.toml import quoted
from safe_remote_code.report.visible import visible, visible_lines


@given(st.text(st.characters(codec=None)))
def test_nothing_hidden_is_left(text: str) -> None:
    shown = visible(text)
    assert not [char for char in shown if char != " " and unicodedata.category(char)[0] in "CZ"]
    assert all("\n" not in line for line in visible_lines(text))


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_what_can_be_seen_stays(text: str) -> None:
    assert visible(text) == text


def test_each_hidden_character_is_spelt_as_python_would() -> None:
    assert (
        visible("\x1b[2J\u202e\u200b\U000e0041\ud800\n\t\x9b") == "\\x1b[2J\\u202e\\u200b\\U000e0041\\ud800\\n\\t\\x9b"
    )


@given(st.text())
def test_toml_strings_are_ascii_and_come_back(text: str) -> None:
    assert quoted(text).isascii()
    assert tomllib.loads(f"x = {quoted(text)}")["x"] == text
