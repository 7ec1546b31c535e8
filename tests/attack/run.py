"""Runs the attack body and prints, class of technique by wall, what got through.

    python -m tests.attack.run [--mode native|guarded|all] [--only GLOB ...]
                               [--settings NAME ...] [--json OUT]

Natively every fixture must hit its canary at the stage that its header names: a fixture
that cannot fire proves nothing. Guarded, each runs whole and with each in-process wall
switched off. Ends with 1 if a fixture is dead natively, or a canary is hit with all
walls on.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from ..launch.installed import install
from . import fixture as fixtures
from . import harness
from .fixture import WALLS, Fixture
from .harness import Outcome

BODY = harness.ROOT / "fixtures" / "escapes"
CONTROL = Path(__file__).parent / "control" / "benign.py"
SETTINGS: dict[str, tuple[str, ...]] = (
    {"whole": ()}
    | {f"no-{wall}": (wall,) for wall in WALLS}
    | {f"only-{wall}": tuple(w for w in WALLS if w != wall) for wall in WALLS}
    # No wall of Python, and the code runs in a worker (some seconds a fixture), with the whole driver under
    # `safe-remote-code run`, or without the kernel's wall too: what is not hit under `none` proves nothing elsewhere.
    | {"worker": WALLS, "launcher": WALLS, "none": WALLS}
)
KERNEL_ONLY = ("worker", "launcher")
SEEN_LATE = ("port", "read")  # canaries that may be found only after the process ended
DEFAULT_SETTINGS = ("whole", *(f"no-{wall}" for wall in WALLS))


def body(patterns: Sequence[str]) -> list[Fixture]:
    """The fixtures whose name matches one of the patterns and whose technique this transformers has; no match is an error."""
    paths = sorted(path for path in BODY.glob("*.py") if _matches(path.stem, patterns))
    if not paths:
        raise SystemExit(f"no fixture in {BODY} matches {patterns!r}")
    return [item for item in map(fixtures.read, paths) if fixtures.exists_here(item)]


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def run_native(items: Sequence[Fixture]) -> list[Outcome]:
    with harness.zygote("native") as host:
        _control(host)
        return [_told(harness.run(host, item), item) for item in items]


def run_guarded(items: Sequence[Fixture], settings: Sequence[str]) -> dict[str, list[Outcome]]:
    """What became of each item under each setting but the launcher."""
    with harness.zygote("guarded") as host:
        _control(host)
        if "worker" in settings:
            _control(host, worker=True)
        return {
            name: [_told(harness.run(host, item, off=SETTINGS[name], worker=name == "worker"), item) for item in items]
            for name in settings
        }


def run_launched(items: Sequence[Fixture]) -> list[Outcome]:
    """What became of each under the launcher; what only changes the program's own Python is not the kernel's to hold."""
    with tempfile.TemporaryDirectory(prefix="attack-installed-") as folder:
        python = install(Path(folder)).python
        with harness.zygote("guarded", python=python, launched=True) as host:
            _control(host)
            return [_told(harness.run(host, item, off=WALLS), item) for item in items if item.canary != "world"]


def _control(host: harness.Zygote, *, worker: bool = False) -> None:
    """A harmless model must pass every stage; else a run that stops everything proves nothing."""
    outcome = harness.run(host, fixtures.read(CONTROL), worker=worker)
    if outcome.canary_hit or outcome.error_type or "getattr" not in outcome.reached:
        raise SystemExit(f"the harmless control fails in {host.mode} mode: {outcome}")


def _told(outcome: Outcome, item: Fixture) -> Outcome:
    word = f"HIT at {outcome.stage}" if outcome.canary_hit else "-"
    error = f"{outcome.error_type or ''} {outcome.error_code or ''} {outcome.error_message or ''}"
    off = ",".join(outcome.off) or "none"
    line = f"{outcome.mode} off={off} {item.technique}: {word} [{error.strip()[:140]!r}]"
    print(line, file=sys.stderr, flush=True)
    return outcome


def dead(items: Sequence[Fixture], outcomes: Sequence[Outcome]) -> list[str]:
    """Fixtures that do not do natively what their header says."""
    return [
        f"{item.technique}: header says {item.stage}, hit at {outcome.stage}"
        f" ({outcome.error_type}: {outcome.error_message})"
        for item, outcome in zip(items, outcomes, strict=True)
        if not outcome.canary_hit or (item.canary not in SEEN_LATE and outcome.stage != item.stage)
    ]


def table(items: Sequence[Fixture], columns: dict[str, list[Outcome]]) -> str:
    """One row a class: number of fixtures, then canaries hit under each setting."""
    total = Counter(item.family for item in items)
    hits = {name: _hits_by_class(items, outcomes) for name, outcomes in columns.items()}
    rows = [["class", "fixtures", *columns]]
    rows += [[f, str(total[f]), *(str(hits[c][f]) for c in columns)] for f in sorted(total)]
    rows.append(["all", str(len(items)), *(str(hits[c].total()) for c in columns)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) for r in rows)


def _hits_by_class(items: Sequence[Fixture], outcomes: Sequence[Outcome]) -> Counter[str]:
    family = {item.technique: item.family for item in items}
    return Counter(family[outcome.technique] for outcome in outcomes if outcome.canary_hit)


def silent(outcomes: Iterable[Outcome]) -> list[str]:
    """Runs that hit nothing although no error of ours says why: to be looked at by a person."""
    return [
        f"{o.technique}: {o.error_type}: {o.error_message}"
        for o in outcomes
        if not o.canary_hit and not o.ours and not o.refusals
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    items, started, failed = body(options.only), time.monotonic(), False
    columns: dict[str, list[Outcome]] = {}
    if options.mode in ("native", "all"):
        columns["native"] = run_native(items)
        failed |= _list("dead natively", dead(items, columns["native"]))
    if options.mode in ("guarded", "all"):
        inside = [name for name in options.settings if name != "launcher"]
        guarded = run_guarded(items, inside) if inside else {}
        if "launcher" in options.settings:
            guarded["launcher"] = run_launched(items)
        columns |= guarded
        for name, outcomes in guarded.items():
            hits = [f"{o.technique} at {o.stage}" for o in outcomes if o.canary_hit]
            failed |= _list(f"canaries hit, {name}", hits) and name in ("whole", *KERNEL_ONLY)
            if name not in (*KERNEL_ONLY, "none"):
                _list(f"stopped without a reason of ours, {name}", silent(outcomes))
    print(table(items, columns))
    print(f"{len(items)} fixtures, {time.monotonic() - started:.0f} s")
    if options.json:
        data = {name: [asdict(o) for o in outcomes] for name, outcomes in columns.items()}
        options.json.write_text(json.dumps({"format": 1, "settings": data}, indent=1) + "\n")
    return int(failed)


def _list(title: str, lines: Sequence[str]) -> bool:
    if lines:
        print(f"{title} ({len(lines)}):", *(f"  {line}" for line in lines), sep="\n")
    return bool(lines)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--mode", choices=("native", "guarded", "all"), default="all")
    parser.add_argument("--only", nargs="+", default=["*"], metavar="GLOB")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=DEFAULT_SETTINGS)
    parser.add_argument("--json", type=Path, metavar="OUT")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
