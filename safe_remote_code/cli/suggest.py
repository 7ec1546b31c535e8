"""`safe-remote-code suggest` and `init`: how to begin, and what to read next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.text import Text

from ..audits.objects import ObjectFolder
from ..audits.records import Exemption
from ..audits.store import AuditStore
from ..audits.writing import write_store
from ..errors import NotClearedError, RefusedError, ViolationError
from ..fetch.source import HubOptions
from ..lockfile import read_lock
from ..report.review_text import count
from ..report.visible import visible
from .console import Outcome, error_lines, say, tell
from .openings import Opening, opening
from .texts import Texts
from .workbench import Workbench, changed, open_workbench, parse_day, store_options, today

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..snapshot import Snapshot

#: After everything whose size is known.
_UNKNOWN: Final = float("inf")


@click.command(short_help="Print the smallest reviews that would clear what is open.")
@store_options
@click.option("--online", is_flag=True, help="Ask the Hub for text that is needed to compare.")
@click.option("--exempted", is_flag=True, help="Also what is exempted or trusted, but was never read.")
def suggest(store_path: Path, lockfile: Path, online: bool, exempted: bool) -> int:
    """Print, smallest first, the reviews that would clear everything the lock holds, with the commands for each."""
    bench = open_workbench(store_path, lockfile)
    book, texts = bench.ledger(), bench.texts(HubOptions(local_files_only=not online))
    outcome = Outcome()
    found: list[Opening] = []
    for package in bench.lock.packages:
        try:
            cleared = book.clear(package)
            unread = any(chain[0].kind in ("exemption", "trust") for chain in cleared.chains.values())
            if exempted and unread:
                found.append(opening(package, book, texts))
        except NotClearedError:
            found.append(opening(package, book, texts))
        except ViolationError as error:
            tell(error_lines(error))
            outcome.add(1)
    for item in sorted(found, key=lambda one: (_UNKNOWN if one.lines is None else one.lines, one.package.source)):
        say(_lines(item, bench))
    if not found:
        say(f"nothing is open: {count(len(bench.lock.packages), 'entry', 'entries')} of {lockfile}")
    return outcome.code


def _lines(found: Opening, bench: Workbench) -> Iterator[Text]:
    review, certify = found.commands(bench)
    size = "its text is not at hand" if found.lines is None else count(found.lines, "line")
    what = "the change" if found.base is not None else "all of it"
    yield Text(f"{size:>12}  ", style="bold") + Text(visible(f"{found.package.source}: {what}"))
    yield Text(visible(f"{'':14}{review}"))
    yield Text(visible(f"{'':14}{certify}"))


@click.command(short_help="Start an audit store: what is in use today is exempted.")
@store_options
@click.option("--criteria", multiple=True, metavar="NAME", help="What everything must meet: safe-to-load (the default)"
              " or safe-to-serve.")  # fmt: skip
@click.option("--until", metavar="DAY", help="The exemptions end with this day (YYYY-MM-DD)  [default: never]")
def init(store_path: Path, lockfile: Path, criteria: tuple[str, ...], until: str | None) -> None:
    """Start an audit store: everything that the lock holds today is exempted, so that CI stops only what is new.

    The text of what is exempted is kept, if it is at hand, so that the first update shows only what changed.
    """
    if store_path.exists() or store_path.is_symlink():
        raise RefusedError("there is an audit store already", subject=str(store_path),
                           remedy="safe-remote-code audits exempt SOURCE --why REASON, for one entry")  # fmt: skip
    lock, day, end = read_lock(lockfile), today(), parse_day(until, "--until")
    required = tuple(sorted(set(criteria))) or ("safe-to-load",)
    store = changed(AuditStore(), store_path, required=required)
    try:
        made = tuple(
            Exemption(source=package.source, digest=package.digest, criteria=required, date=day, until=end,
                      notes="in use when the store was started")
            for package in lock.packages
        )  # fmt: skip
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    write_store(changed(store, store_path, exemptions=made), store_path)
    texts = Texts(store_path, store, lock, lockfile, HubOptions(local_files_only=True))
    missing = [package for package in lock.packages if not _keep(texts.snapshot(package.digest), store_path)]
    exempted = count(len(made), "entry", "entries")
    say(f"started {store_path}: requires {', '.join(required)}, exempts {exempted} of {lockfile}")
    for package in missing:
        tell(f"  The text of {package.source} is not at hand, so an update of it will show as wholly new.")


def _keep(code: Snapshot | None, store_path: Path) -> bool:
    if code is not None:
        ObjectFolder(store_path).keep(code)
    return code is not None
