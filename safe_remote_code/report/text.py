"""A report for people: one line a finding, its remedy below it, a count at the end.

Lines are `rich.text.Text` built from visible text; markup is never parsed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from rich.text import Text

from .detonation import run_lines
from .examination import Examination, Standing
from .visible import visible

if TYPE_CHECKING:
    from ..finding import Finding

_STYLES: Final[dict[Standing, str]] = {"refused": "bold red", "guarded": "yellow", "note": "cyan"}
_ORDER: Final[tuple[Standing, ...]] = ("refused", "guarded", "note")


def title(examination: Examination) -> Text:
    """The repository, the commit, and the digest of its code."""
    line = Text(visible(str(examination.repo)), style="bold")
    if examination.commit is not None:
        line.append(f" @ {examination.commit}", style="dim")
    if examination.snapshot is not None:
        line.append(f"  {examination.snapshot.digest}", style="dim")
    return line


def summary(examination: Examination) -> Iterator[Text]:
    """What the code is: its files, its capabilities, what else it needs."""
    code, analysis = examination.snapshot, examination.analysis
    if code is None or analysis is None:
        yield Text("  no Python code was read")
    else:
        lines = sum(file.text.count("\n") for file in code.files)
        yield Text(f"  {_count(len(code.files), 'file')}, {_count(lines, 'line')} of Python")
        yield Text(f"  capabilities: {', '.join(analysis.capabilities) or 'none'}")
    for repo in examination.foreign:
        yield Text(visible(f"  names code of another repository: {repo} (pin it too: safe-remote-code pin {repo})"))
    if examination.unreached:
        yield Text(visible(f"  not part of the code that is loaded, not examined: {', '.join(examination.unreached)}"))
    for line in run_lines(examination.trial):
        yield Text(visible(f"  {line}"))


def finding_lines(finding: Finding, standing: Standing) -> Iterator[Text]:
    """`finding` at its place, and below it what to do about it."""
    line = Text("  ")
    line.append(f"{standing:<8}", style=_STYLES[standing])
    line.append(visible(f"{finding.path}:{finding.line}:{finding.column}"), style="bold")
    line.append(f"  {visible(finding.rule)}: {visible(finding.message)}")
    yield line
    if finding.remedy:
        yield Text(f"          -> {visible(finding.remedy)}", style="dim")


def _guarded_in_brief(findings: Iterable[Finding]) -> Iterator[Text]:
    """One line a rule: where it fires first, how often, and on which names."""
    by_rule: dict[str, list[Finding]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    for rule, group in sorted(by_rule.items()):
        first, names = group[0], sorted({finding.name for finding in group if finding.name})
        shown = f" ({', '.join(names[:6])}{', ...' if len(names) > 6 else ''})" if names else ""
        line = Text("  ").append("guarded ", style=_STYLES["guarded"])
        line.append(visible(f"{rule}: {_count(len(group), 'place')}, first {first.path}:{first.line}{shown}"))
        yield line


def report(examination: Examination, *, brief: bool = False) -> Iterator[Text]:
    """The whole report on one repository, what refuses first; `brief`: what the guard holds, a line a rule."""
    yield title(examination)
    yield from summary(examination)
    for standing in _ORDER:
        found = examination.of_standing(standing)
        if brief and standing == "guarded":
            yield from _guarded_in_brief(found)
            continue
        for finding in found:
            yield from finding_lines(finding, standing)
    yield verdict(examination)


def verdict(examination: Examination) -> Text:
    """One line: what policy says, and how many findings of each kind."""
    counts = counted(examination)
    name = visible(examination.policy.name)
    if examination.of_standing("refused"):
        loads = ", ".join(examination.unhindered)
        rest = visible(f"; what needs none of it still loads: {loads}") if loads and _denies_code(examination) else ""
        return Text(f"  refused by policy {name}: {counts}{rest}", style="bold red")
    return Text(f"  clean under policy {name}: {counts}", style="green")


def _denies_code(examination: Examination) -> bool:
    """Whether what refuses is code, rather than the repository as a whole or only its JSON."""
    refused = examination.of_standing("refused")
    return any(finding.path.endswith(".py") for finding in refused) and all(item.path != "." for item in refused)


def counted(examination: Examination) -> str:
    """`1 refused, 2 left to the guard, 3 notes`."""
    refused, guarded, notes = (len(examination.of_standing(standing)) for standing in _ORDER)
    return f"{refused} refused, {guarded} left to the guard, {_count(notes, 'note')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def reports(examinations: Iterable[Examination]) -> Iterator[Text]:
    """The reports, with an empty line between them."""
    for index, examination in enumerate(examinations):
        if index:
            yield Text()
        yield from report(examination)
