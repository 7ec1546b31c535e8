"""A review in the terminal: the changed lines with their numbers, and below each what it means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

from rich.text import Text

from .text import finding_lines, summary, title, verdict
from .visible import visible

if TYPE_CHECKING:
    from .line_diff import DiffLine
    from .review import FileReview, Review

_SIGNS: Final = {"same": " ", "added": "+", "removed": "-"}
_STYLES: Final = {"same": "dim", "added": "green", "removed": "red"}
_CONTEXT: Final = 3
_SHORT: Final = 2


def shown_lines(file: FileReview, context: int = _CONTEXT) -> list[bool]:
    """For each line, whether it is a change, at a fresh finding or gain, or within `context` lines of one."""
    shown = [False] * len(file.lines)
    for index, line in enumerate(file.lines):
        fresh = line.new is not None and (
            line.new in file.gains or any(mark.fresh for mark in file.marks.get(line.new, ()))
        )
        if line.kind != "same" or fresh:
            low, high = max(0, index - context), index + context + 1
            shown[low:high] = [True] * len(shown[low:high])
    if any(shown):
        _close_gaps(shown)
    return shown


def _close_gaps(shown: list[bool]) -> None:
    """Hide no run that is hardly longer than the line which would say so."""
    start = 0
    for open_now, group in groupby(list(shown)):
        length = len(list(group))
        if not open_now and length <= _SHORT:
            shown[start : start + length] = [True] * length
        start += length


def review_lines(review: Review, label: str) -> Iterator[Text]:
    """The whole review; `label` says what the change is measured from."""
    yield title(review.examination)
    yield from summary(review.examination)
    yield Text(visible(f"  {label}: {count(review.changed, 'line')} to read"))
    for name in review.gained if review.base is not None else ():
        yield Text(f"  capability gained: {name}", style="bold yellow")
    for name in review.lost:
        yield Text(f"  capability lost: {name}")
    for mark in review.elsewhere:
        yield from finding_lines(mark.finding, mark.standing)
    for file in review.files:
        if any(shown := shown_lines(file)):
            yield from _file_lines(file, shown)
    known = len(review.marks(fresh=False))
    if known:
        yield Text(f"  {count(known, 'finding')} as in the content that was read before")
    yield verdict(review.examination)


def diff_lines(lines: Sequence[DiffLine], limit: int) -> Iterator[Text]:
    """The first `limit` changed lines alone, with their numbers."""
    changed = [line for line in lines if line.kind != "same"]
    for line in changed[:limit]:
        yield _line(line)
    if len(changed) > limit:
        yield Text(f"      ... and {count(len(changed) - limit, 'more line')}", style="dim")


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 line`, `2 lines`, `1,234 entries`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def _file_lines(file: FileReview, shown: Sequence[bool]) -> Iterator[Text]:
    yield Text()
    yield Text(visible(f"  {file.path}"), style="bold") + Text(f"  {file.change}", style="cyan")
    skipped = 0
    for line, visible_now in zip(file.lines, shown, strict=True):
        if not visible_now:
            skipped += 1
            continue
        if skipped:
            yield Text(f"      ... {count(skipped, 'unchanged line')}", style="dim")
            skipped = 0
        yield _line(line)
        for gain in file.gains.get(line.new or 0, ()):
            yield Text(visible(f"          ^ gains {gain.capability}: {gain.name}"), style="bold yellow")
        for mark in file.marks.get(line.new or 0, ()):
            if mark.fresh:
                yield from (Text("        ") + text for text in finding_lines(mark.finding, mark.standing))


def _line(line: DiffLine) -> Text:
    number = line.new if line.new is not None else line.old
    text = visible(line.text.expandtabs(4))
    return Text(f"  {number or 0:>6} {_SIGNS[line.kind]} ", style="dim") + Text(text, style=_STYLES[line.kind])
