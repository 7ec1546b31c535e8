"""`make realworld`: real remote code, natively and through the guard, in separate processes, compared bit for bit.

    run.py [NAME ...] [--specs FILE] [--build DIR] [--native-only] [--audit] [--verbose] [--json FILE]

Prints a table (loads natively, admitted, loaded, identical, why not) and two percentages. Exit 1 when a repository that
loads natively is not identical, or one that the table expects to load natively does not; 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import assemble
import compare
import specs

_PROBE = Path(__file__).with_name("probe.py")
_SECONDS_PER_PROBE = 300  # the slowest native probe takes about 20 s on two cores
_COLUMNS = "{:<28} {:<7} {:<9} {:<7} {:<10} {}"


def main() -> int:
    """Run the selected repositories one after another and print the table."""
    arguments = _arguments()
    table = specs.load(arguments.specs)
    print(_COLUMNS.format("repository", "native", "admitted", "loaded", "identical", "why not"), flush=True)
    rows = [row for row in (_one(table, spec, arguments) for spec in table.select(arguments.names)) if row]
    if arguments.json:
        arguments.json.write_text(
            json.dumps([dataclasses.asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8"
        )
    _print_totals(rows, arguments.native_only)
    return int(any(row.is_failure for row in rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="repositories of the table; all, if none is given")
    parser.add_argument("--specs", type=Path, default=specs.DEFAULT_SPECS)
    parser.add_argument("--build", type=Path, default=assemble.BUILD)
    parser.add_argument("--policy", default="default")
    parser.add_argument(
        "--native-only", action="store_true", help="check only that the table is right about native loading"
    )
    parser.add_argument("--assemble-only", action="store_true", help="fetch and lay out, run nothing")
    parser.add_argument("--audit", action="store_true", help="audit the repositories that are for analysis only, too")
    parser.add_argument("--verbose", action="store_true", help="show the probes' tracebacks")
    parser.add_argument("--json", type=Path, help="write the rows there")
    return parser.parse_args()


def _one(table: specs.Specs, spec: specs.Repository, arguments: argparse.Namespace) -> compare.Row | None:
    """Assemble, pin, probe twice, compare, print. A repository for analysis only has no row.

    What differs is run natively once more, with freed memory filled by another byte (mallopt(3), M_PERTURB): a step
    that natively differs from itself reads memory that nobody wrote, and says nothing about the guard.
    """
    folder = assemble.assemble(table, spec, arguments.build)
    if arguments.assemble_only:
        return None
    if spec.analysis_only:
        found = _cli("audit", str(folder))[1] if arguments.audit else "not run"
        print(
            _COLUMNS.format(spec.name, "-", "-", "-", "-", f"analysis only ({spec.analysis_only}): {found}"), flush=True
        )
        return None
    work = _fresh(arguments.build / "runs" / spec.name)
    native = _probe("native", folder, spec, work, arguments)
    pinned, said = (
        (True, "") if arguments.native_only else _cli("pin", str(folder), "--lockfile", str(work / "remote-code.lock"))
    )
    guarded = None if arguments.native_only else _probe("guarded", folder, spec, work, arguments) if pinned else {}
    unsettled: tuple[str, ...] = ()
    if guarded and compare.differing(native, guarded):
        again = _probe("native", folder, spec, _fresh(work / "again"), arguments, {"MALLOC_PERTURB_": "165"})
        unsettled = tuple(compare.differing(native, again))
    row = compare.row(
        spec.name,
        spec.is_expected_under(version("transformers")),
        native,
        guarded,
        "" if pinned else f"pin: {said}",
        unsettled,
    )
    _print_row(row, arguments.native_only)
    return row


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _probe(
    mode: str,
    folder: Path,
    spec: specs.Repository,
    work: Path,
    arguments: argparse.Namespace,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """Run one probe process and read its steps; a process that wrote nothing is one failed step."""
    out = work / f"{mode}.json"
    command = [sys.executable, str(_PROBE), mode, str(folder), spec.name, str(out), "--specs", str(arguments.specs)]
    command += [
        "--build",
        str(arguments.build),
        "--policy",
        arguments.policy,
        "--lockfile",
        str(work / "remote-code.lock"),
    ]
    log = work / f"{mode}.log"
    try:
        with log.open("wb") as stream:
            verbose = ["--verbose"] if arguments.verbose else []
            done = subprocess.run(
                [*command, *verbose],
                stdout=stream,
                stderr=stream,
                timeout=_SECONDS_PER_PROBE,
                env={**_environment(), **environment},
            )
    except subprocess.TimeoutExpired:
        return {"config": {"error": f"no result after {_SECONDS_PER_PROBE} s"}}
    if arguments.verbose:
        sys.stderr.write(log.read_text(encoding="utf-8", errors="replace"))
    if not out.exists():
        return {
            "config": {
                "error": f"the {mode} process ended with {done.returncode}: {_last_line(log.read_text(errors='replace'))}"
            }
        }
    steps: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))["steps"]
    return steps


def _cli(*words: str) -> tuple[bool, str]:
    """Run this checkout's `safe-remote-code`; whether it exited 0, and its last line."""
    command = [sys.executable, "-m", "safe_remote_code", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS_PER_PROBE, env=_environment())
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    return done.returncode == 0, _last_line(done.stderr or done.stdout)


def _environment() -> dict[str, str]:
    """This checkout comes first, so that a Python of another transformers version can be used without installing it."""
    return {**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(Path(__file__).parents[2])}


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def _print_row(row: compare.Row, native_only: bool) -> None:
    verdicts = [
        _word(row.native),
        *(("-",) * 3 if native_only else map(_word, (row.admitted, row.loaded, row.identical))),
    ]
    mark = " [NOT AS THE TABLE SAYS]" if row.expected != row.native else ""
    print(_COLUMNS.format(row.name, *verdicts, " ".join(row.why_not.split())[:300] + mark), flush=True)


def _word(value: bool) -> str:
    return "yes" if value else "no"


def _print_totals(rows: Iterable[compare.Row], native_only: bool) -> None:
    native = [row for row in rows if row.native]
    print(f"transformers {version('transformers')}: {len(native)} load natively")
    if native and not native_only:
        admitted, identical = sum(row.admitted for row in native), sum(row.identical for row in native)
        print(
            f"of these admitted {admitted} ({admitted / len(native):.1%}), identical {identical} ({identical / len(native):.1%})"
        )


if __name__ == "__main__":
    sys.exit(main())
