"""`safe-remote-code audit`: everything the policy has to say about code that nobody has pinned yet.

Notes alone are clean; so is what the guard holds at run time, under a policy that leaves it to the guard.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ..policy import load_policy
from ..report import Examination, examine
from ..report.json_report import json_report
from ..report.sarif import sarif_report
from ..report.text import reports
from . import options
from .console import Outcome, say, write_document
from .exits import REFUSED

if TYPE_CHECKING:
    from ..policy import Policy

_DOCUMENTS: Final[dict[str, Callable[[list[Examination], Policy], str]]] = {
    "json": json_report,
    "sarif": sarif_report,
}


@click.command(short_help="Report what the policy says to the code of each SOURCE.")
@options.sources
@options.revision_options
@options.policy
@click.option("--format", "form", type=click.Choice(["text", *_DOCUMENTS]), default="text", show_default=True,
              help="Text for people, JSON (versioned), or SARIF 2.1.0 for code scanning.")  # fmt: skip
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write the report there instead of to stdout.")  # fmt: skip
@click.option("--run", "trial", is_flag=True,
              help="Also run the code, in a worker that the kernel confines, and report what it tries.")  # fmt: skip
def audit(
    sources: tuple[str, ...], revision: str | None, repo_type: str, local_files_only: bool, policy: str,
    form: str, output: Path | None, trial: bool,
) -> int:  # fmt: skip
    """Report what the code of each SOURCE would do and what the policy says to it.

    Its Python files and its JSON are read; nothing is run without --run. Exits with 1 if the policy refuses something.
    """
    chosen = load_policy(policy)
    outcome = Outcome()
    examinations = []
    for location in sources:
        with outcome.each(location):
            found = examine(options.opened(location, revision, repo_type, local_files_only), chosen)
            if trial:
                found = _detonated(found, local_files_only)
            examinations.append(found)
            if found.of_standing("refused"):
                outcome.add(REFUSED)
    if form in _DOCUMENTS:
        write_document(_DOCUMENTS[form](examinations, chosen), output)
    elif output is not None:
        write_document("".join(f"{line.plain}\n" for line in reports(examinations)), output)
    else:
        say(reports(examinations))
    return outcome.code


def _detonated(examination: Examination, local_files_only: bool) -> Examination:
    from ..report.detonation import with_trial
    from ..worker.detonation import Trial, detonate

    if examination.snapshot is None:
        return with_trial(examination, Trial(attempts=(), stages=()))  # there is no code that could be run
    trial = detonate(examination.repo, examination.commit, examination.policy, local_files_only=local_files_only)
    return with_trial(examination, trial)
