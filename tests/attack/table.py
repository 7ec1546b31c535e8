"""Writes the table of SECURITY.md from what `run.py --json` measured.

    python -m tests.attack.table RESULT.json ... [--check]

Several results make one table, a column for each setting; they must be of the same body. With --check nothing is
written, and the exit code says whether the document holds what the results say.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import fixture as fixtures
from .harness import ROOT

BODY = ROOT / "fixtures" / "escapes"
DOCUMENT = ROOT / "SECURITY.md"
TABLE = re.compile(r"^\| class of attack \|.*?(?=\n\n)", re.DOTALL | re.MULTILINE)
#: Setting and heading, in the order of the columns.
HEADINGS = {
    "native": "native", "none": "no wall", "whole": "whole", "no-identity": "identity off",
    "no-analysis": "analysis off", "no-guard": "guard off", "no-monitor": "monitor off",
    "launcher": "launcher alone", "worker": "worker alone",
}  # fmt: skip
NOT_RUN = "-"


def markdown(settings: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The table: per class the number of fixtures, and how many reached their canary under each of *settings*."""
    family = {technique: fixtures.read(BODY / f"{technique}.py").family for technique in _techniques(settings)}
    columns = [name for name in HEADINGS if name in settings]
    total = Counter(family.values())
    ran = {name: Counter(family[item["technique"]] for item in settings[name]) for name in columns}
    hits = {name: Counter(family[item["technique"]] for item in settings[name] if item["canary_hit"]) for name in columns}
    rows = [["class of attack", "fixtures", *(HEADINGS[name] for name in columns)], ["---"] * (len(columns) + 2)]
    for row in sorted(total):
        rows.append([row, str(total[row]), *(str(hits[n][row]) if ran[n][row] else NOT_RUN for n in columns)])
    rows.append(["all", str(total.total()), *(str(hits[name].total()) for name in columns)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows).replace("| --- ", "|---").replace("--- |", "---|")


def _techniques(settings: Mapping[str, Sequence[Mapping[str, Any]]]) -> set[str]:
    """What ran, under every setting but the launcher, which leaves out what no kernel holds."""
    sets = {name: {item["technique"] for item in outcomes} for name, outcomes in settings.items()}
    whole = set().union(*sets.values())
    if other := sorted(name for name, ran in sets.items() if ran != whole and name != "launcher"):
        raise SystemExit(f"not of the same body as the others: {', '.join(other)}")
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    settings: dict[str, Any] = {}
    for path in options.results:
        settings |= json.loads(path.read_text())["settings"]
    old = DOCUMENT.read_text()
    new, count = TABLE.subn(lambda _: markdown(settings), old)
    if count != 1:
        raise SystemExit(f"{DOCUMENT}: holds {count} tables of attacks, not one")
    if not options.check:
        DOCUMENT.write_text(new)
    return int(options.check and new != old)


if __name__ == "__main__":
    raise SystemExit(main())
