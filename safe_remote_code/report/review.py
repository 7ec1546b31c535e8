"""A review: the change of some code since content that was read before, with what it means at its lines.

Guarantee: every line of the new code and every line that is gone is in exactly one `FileReview`, and every
finding of the examination is in it once: at its line, or, if it is about no line of the code, in `elsewhere`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, final

from ..admit import findings as admission_findings
from ..analyse import analyse
from ..analyse.builtin_names import is_plain_builtin
from ..capability import shipped_capabilities
from .line_diff import DiffLine, changed_count, diff, lines_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..analyse import Analysis
    from ..finding import Finding
    from ..snapshot import Snapshot
    from .examination import Examination, Standing

Change = Literal["added", "removed", "changed", "same"]
_CHANGES: tuple[Change, ...] = ("changed", "added", "removed", "same")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A finding at a line; `fresh` unless the content that was read before had it too."""

    finding: Finding
    standing: Standing
    fresh: bool


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """A line that uses `name`, of a `capability` that the content read before did not have."""

    line: int
    capability: str
    name: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FileReview:
    """One file; `marks` and `gains` by line of the new text."""

    path: str
    change: Change
    lines: tuple[DiffLine, ...] = field(repr=False)
    marks: Mapping[int, tuple[Mark, ...]] = field(repr=False)
    gains: Mapping[int, tuple[Gain, ...]] = field(repr=False)

    @property
    def changed(self) -> int:
        """Lines added and removed."""
        return changed_count(self.lines)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """The change from `base` (None: nothing was read before) to the code of `examination`."""

    examination: Examination
    base: Snapshot | None
    files: tuple[FileReview, ...]
    elsewhere: tuple[Mark, ...]
    gained: tuple[str, ...]
    lost: tuple[str, ...]

    @property
    def changed(self) -> int:
        """Lines added and removed, in all files."""
        return sum(file.changed for file in self.files)

    def marks(self, *, fresh: bool) -> tuple[Mark, ...]:
        """All findings that are new, or all that the content read before had too."""
        found = [*self.elsewhere]
        found += [mark for file in self.files for marks in file.marks.values() for mark in marks]
        return tuple(mark for mark in found if mark.fresh is fresh)


def size_of_change(base: Snapshot | None, code: Snapshot) -> int:
    """Lines that a reviewer of `code` reads who knows `base`."""
    return sum(changed_count(_file_diff(base, code, path)) for path in _paths(base, code))


def _paths(base: Snapshot | None, code: Snapshot) -> list[str]:
    return sorted({*code.manifest, *(base.manifest if base else ())})


def _file_diff(base: Snapshot | None, code: Snapshot, path: str) -> tuple[DiffLine, ...]:
    return diff(_text(base, path), _text(code, path))


def _text(code: Snapshot | None, path: str) -> str:
    return code[path].text if code is not None and path in code else ""


def review(examination: Examination, base: Snapshot | None) -> Review:
    """What a reviewer of `examination` who knows `base` needs to see.

    Raises:
        ValueError: the examination has no code.
    """
    code, analysis = examination.snapshot, examination.analysis
    if code is None or analysis is None:
        raise ValueError("there is no code to review")
    known = analyse(base) if base is not None else None
    marks = _marks(examination, base, known)
    before = set(known.capabilities) if known is not None else set()
    gained = tuple(sorted(set(analysis.capabilities) - before))
    uses = _gains(analysis, gained)
    lengths = {file.path: len(lines_of(file.text)) for file in code.files}
    files = [_file(base, code, path, marks, uses) for path in _paths(base, code)]
    return Review(
        examination=examination,
        base=base,
        files=tuple(sorted(files, key=lambda file: (_CHANGES.index(file.change), file.path))),
        elsewhere=tuple(mark for mark in marks if mark.finding.line > lengths.get(mark.finding.path, 0)),
        gained=gained,
        lost=tuple(sorted(before - set(analysis.capabilities))),
    )


def _file(
    base: Snapshot | None, code: Snapshot, path: str, marks: list[Mark], uses: list[tuple[str, Gain]]
) -> FileReview:
    lines = _file_diff(base, code, path)
    if path not in code:
        change: Change = "removed"
    elif base is None or path not in base:
        change = "added"
    else:
        change = "changed" if base[path].sha256 != code[path].sha256 else "same"
    count = len(lines_of(code[path].text)) if path in code else 0
    by_line: dict[int, tuple[Mark, ...]] = {}
    for mark in marks:
        if mark.finding.path == path and mark.finding.line <= count:
            by_line[mark.finding.line] = (*by_line.get(mark.finding.line, ()), mark)
    gains: dict[int, tuple[Gain, ...]] = {}
    for place, gain in uses:
        if place == path and gain.line <= count and gain not in gains.get(gain.line, ()):
            gains[gain.line] = (*gains.get(gain.line, ()), gain)
    return FileReview(path=path, change=change, lines=lines, marks=by_line, gains=gains)


def _marks(examination: Examination, base: Snapshot | None, known: Analysis | None) -> list[Mark]:
    """A finding is known if the base has one with the same words on a line of the same text."""
    before: Counter[tuple[str, ...]] = Counter()
    if base is not None and known is not None:
        found = admission_findings(known, examination.policy, str(examination.repo))
        before = Counter(_essence(finding, base) for finding in found)
    marks = []
    for finding in examination.findings:
        essence = _essence(finding, examination.snapshot)
        fresh = before[essence] == 0
        if not fresh:
            before[essence] -= 1  # a second one of the same words is new if the base had only one
        marks.append(Mark(finding=finding, standing=examination.standing(finding), fresh=fresh))
    return marks


def _essence(finding: Finding, code: Snapshot | None) -> tuple[str, ...]:
    lines = lines_of(_text(code, finding.path))
    text = lines[finding.line - 1].strip() if finding.line <= len(lines) else ""
    return (finding.path, finding.rule, finding.message, finding.name, finding.enforcement, text)


def _gains(analysis: Analysis, gained: tuple[str, ...]) -> list[tuple[str, Gain]]:
    table = shipped_capabilities()
    found = []
    for use in analysis.uses:
        sinks = None if is_plain_builtin(use.name) else table.sink(use.name)
        if sinks is not None and sinks.capability in gained:
            found.append((use.path, Gain(line=use.line, capability=sinks.capability, name=use.name)))
    return sorted(found, key=lambda item: (item[0], item[1].line, item[1].name))
