"""What changed between two texts, line by line, in time that hostile text cannot stretch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Literal, final

LineKind = Literal["same", "added", "removed"]
#: Pairs of equal lines that difflib may look at; two honest versions of a 10,000-line file have under a million.
_MAX_PAIRS: Final = 4_000_000


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DiffLine:
    """One line of a diff; numbers count from 1, and one of them is None unless the line is in both texts."""

    kind: LineKind
    old: int | None
    new: int | None
    text: str


def lines_of(text: str) -> list[str]:
    """The lines of `text`, divided at newlines only, as the analysis counts them."""
    lines = text.split("\n")
    return lines[:-1] if lines[-1:] == [""] else lines


def diff(old: str, new: str) -> tuple[DiffLine, ...]:
    """All lines of both texts, in reading order; removed before added."""
    return tuple(_diff(lines_of(old), lines_of(new)))


def changed_count(lines: Sequence[DiffLine]) -> int:
    """Lines that a reviewer of the change reads."""
    return sum(line.kind != "same" for line in lines)


def _diff(old: list[str], new: list[str]) -> Iterator[DiffLine]:
    for tag, old_from, old_to, new_from, new_to in _operations(old, new):
        if tag == "equal":
            for offset in range(old_to - old_from):
                text = new[new_from + offset]
                yield DiffLine(kind="same", old=old_from + offset + 1, new=new_from + offset + 1, text=text)
            continue
        for index in range(old_from, old_to):
            yield DiffLine(kind="removed", old=index + 1, new=None, text=old[index])
        for index in range(new_from, new_to):
            yield DiffLine(kind="added", old=None, new=index + 1, text=new[index])


def _operations(old: list[str], new: list[str]) -> list[tuple[str, int, int, int, int]]:
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    old_end, new_end = len(old) - tail, len(new) - tail
    middle_old, middle_new = old[head:old_end], new[head:new_end]
    counts = Counter(middle_new)
    if sum(counts[line] for line in middle_old) > _MAX_PAIRS:
        middle = [("replace", 0, len(middle_old), 0, len(middle_new))]
    else:
        matcher = SequenceMatcher(None, middle_old, middle_new, autojunk=False)
        middle = list(matcher.get_opcodes())
    shifted = [(tag, a + head, b + head, c + head, d + head) for tag, a, b, c, d in middle]
    return [("equal", 0, head, 0, head), *shifted, ("equal", old_end, len(old), new_end, len(new))]


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count
