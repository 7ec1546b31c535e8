"""Measure, print a table, write `build/bench.json`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import __doc__ as _TEXT
from .launching import launch
from .loading import load_fresh, load_imported
from .measure import Measurement
from .subjects import ROOT, Subject, assemble_real, subjects
from .workplace import Workplace

_HEAD = f"{'milliseconds, medians':<34} {'native':>10} {'ours':>10} {'ratio':>7}   quartiles (samples)"
_KINDS = ("running", "fresh", "imported", "worker", "launched")
#: Kinds that are one process which measures both sides.
_TOGETHER = {"running": "benchmarks.running", "worker": "benchmarks.worker"}
#: The launcher does not care what runs under it; one model stands for all.
_LAUNCHED = "decoder"


def main() -> int:
    """Measure what the command line asks for."""
    arguments = _arguments()
    for name in assemble_real():
        print(f"{name}: not assembled, left out", file=sys.stderr)
    chosen = [subject for name, subject in subjects().items() if name in (arguments.names or subjects())]
    found: list[Measurement] = []
    print(_HEAD, flush=True)
    with tempfile.TemporaryDirectory(prefix="safe-remote-code-bench-") as folder:
        place = Workplace(folder=Path(folder))
        place.pin(chosen)
        for measurement in _measure(chosen, place, arguments):
            print(measurement.row(), flush=True)
            found.append(measurement)
    _write(found, arguments.json)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks", description=_TEXT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="MODEL", help="all, if none is given")
    parser.add_argument("--kind", choices=_KINDS, action="append", help="all, if none is given")
    parser.add_argument("--rounds", type=int, default=200, help="pairs of calls in one process (200)")
    parser.add_argument("--processes", type=int, default=7, help="pairs of fresh processes (7)")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench.json")
    return parser.parse_args()


def _measure(chosen: list[Subject], place: Workplace, arguments: argparse.Namespace) -> Iterator[Measurement]:
    kinds = arguments.kind or _KINDS
    for subject in chosen:
        for module in (module for kind, module in _TOGETHER.items() if kind in kinds):
            samples, _ = place.run(module, subject.name, str(place.lockfile), str(arguments.rounds))
            for item in samples:
                yield Measurement(name=item["name"], native=tuple(item["native"]), ours=tuple(item["ours"]))
        if "fresh" in kinds:
            yield from load_fresh(subject, place, arguments.processes)
        if "imported" in kinds:
            yield from load_imported(subject, place, arguments.processes)
        if "launched" in kinds and subject.name == _LAUNCHED:
            yield from launch(subject, place, arguments.processes)


def _write(found: list[Measurement], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([item.entry() for item in found], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
