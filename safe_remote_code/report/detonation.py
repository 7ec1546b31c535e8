"""What the code really tried when it was run, next to what the analysis said that it would.

What
    ``safe-remote-code audit --run`` loads the repository's classes with random weights in a worker that the kernel
    confines, drives import, construction, forward, generate, tokenizing and saving, and reports every file, process,
    socket, native library and the like that the code reached for. An attempt whose capability the analysis did not
    see in the code refuses; one that it did see is a note beside the analysis's own finding; and so is a capability
    that the code names and did not use this time, and a stage that could not be driven.

Why it matters
    Analysis reads text; code may be cleverer than its text. A difference between the two is either a hole of the
    analysis or a trick, and both are worth a person's time.

Example
    The analysis finds no network in the code, and at the first forward it connects to ``203.0.113.5``.

Instead
    There is nothing to repair in an attempt that nobody can explain: do not load the repository. Code that stays
    silent in a run is not proven harmless: it may wait for a date, a host name or its true weights.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..worker.detonation import Attempt, Trial
    from .examination import Examination

RULE: Final = "detonation"
_REMEDY: Final = "do not load it before a person has read this place"


def with_trial(examination: Examination, trial: Trial) -> Examination:
    """`examination` with what the run showed."""
    predicted = frozenset(examination.analysis.capabilities if examination.analysis is not None else ())
    found = {*examination.findings, *_tried(trial, predicted), *_untried(trial, predicted), *_undriven(trial)}
    return replace(examination, findings=tuple(sorted(found)), trial=trial)


def classes_driven(trial: Trial) -> dict[str, dict[str, str]]:
    """For each class (`AutoModel`), its stages in their order, each with why it could not be driven, or nothing."""
    classes: dict[str, dict[str, str]] = {}
    for text, error in trial.stages:
        stage, _, name = text.partition(" ")
        classes.setdefault(name, {})[stage] = error
    return classes


def run_document(trial: Trial | None) -> dict[str, object] | None:
    """The run, for programs; None if there was none."""
    if trial is None:
        return None
    classes = [
        {
            "class": name,
            "driven": [stage for stage, error in stages.items() if not error],
            "not_driven": [{"stage": stage, "error": error} for stage, error in stages.items() if error],
        }
        for name, stages in classes_driven(trial).items()
    ]
    return {"attempts": len(_first_of_each(trial)), "ended": trial.ended, "classes": classes}


def run_lines(trial: Trial | None) -> Iterator[str]:
    """The run, for people: what was driven of each class, and what could not be; the reasons are notes."""
    if trial is None:
        return
    if not trial.stages:
        yield "run in a worker: it ended early" if trial.ended else "not run: there is no class that could be driven"
        return
    count = len(_first_of_each(trial))
    said = f"{count} attempt{'' if count == 1 else 's'}, below" if count else "nothing was tried"
    yield f"run in a worker, with random weights: {said}"
    for name, stages in classes_driven(trial).items():
        driven = ", ".join(stage for stage, error in stages.items() if not error) or "nothing was driven"
        failed = ", ".join(_with_rest(stage) for stage, error in stages.items() if error)
        yield f"  {name}: {driven}" + (f"; could not be driven: {failed}" if failed else "")


def _with_rest(stage: str) -> str:
    return f"{stage} and all that follows" if stage in ("import", "init", "load") else stage


def _tried(trial: Trial, predicted: frozenset[str]) -> Iterator[Finding]:
    for attempt in _first_of_each(trial):
        known = attempt.capability in predicted
        said = "as the analysis said" if known else "which the analysis did not see"
        yield Finding(
            path=attempt.path, line=attempt.line, column=1, rule=RULE, capability=attempt.capability,
            message=f"tried at {attempt.stage}: {attempt.event}({attempt.arguments}), {attempt.capability}, {said}",
            remedy="" if known else _REMEDY, enforcement="note" if known else "refuse",
        )  # fmt: skip


def _first_of_each(trial: Trial) -> list[Attempt]:
    """One attempt for each place and event: a loop of ten thousand says no more than its first turn."""
    first: dict[tuple[str, int, str, str], Attempt] = {}
    for attempt in trial.attempts:
        first.setdefault((attempt.path, attempt.line, attempt.event, attempt.capability), attempt)
    return list(first.values())


def _untried(trial: Trial, predicted: frozenset[str]) -> Iterator[Finding]:
    for capability in sorted(predicted - {attempt.capability for attempt in trial.attempts}):
        yield _note(f"named by the code and not used in this run: {capability}", capability)


def _undriven(trial: Trial) -> Iterator[Finding]:
    for stage, error in trial.stages:
        if error:
            yield _note(f"{stage} could not be driven: {error}", "")
    if trial.ended:
        yield replace(_note(f"the run ended early: {trial.ended}", ""), enforcement="refuse", remedy=_REMEDY)


def _note(message: str, capability: str) -> Finding:
    return Finding(path=".", line=1, column=1, rule=RULE, message=message, capability=capability, enforcement="note")
