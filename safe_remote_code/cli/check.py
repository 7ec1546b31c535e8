"""`safe-remote-code check`, the command for CI: is everything that the lock approves cleared by somebody?

Each entry is shown with the chain that clears it; or with the lines that nobody reviewed, and what to run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.text import Text

from ..audits.explain import discounted
from ..errors import DigestMismatchError, NotClearedError, RefusedError
from ..fetch.source import HubOptions
from ..report.line_diff import diff
from ..report.review_text import count, diff_lines
from ..report.visible import visible
from . import options
from .changes import difference
from .console import Outcome, say, tell
from .exits import REFUSED
from .openings import Opening, opening
from .workbench import Workbench, open_workbench, store_options

if TYPE_CHECKING:
    from ..audits.clearing import Cleared, Ledger
    from ..lockfile import LockedPackage
    from ..snapshot import Snapshot
    from .texts import Texts

#: Changed lines shown of one file; `review` shows them all.
_SHOWN_LINES: Final = 20


@click.command(short_help="For CI: fail unless every pinned content was reviewed.")
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@options.repo_type
@store_options
@click.option("--online", is_flag=True, help="Ask the Hub for text that is needed to show a change.")
def check(sources: tuple[str, ...], repo_type: str, store_path: Path, lockfile: Path, online: bool) -> int:
    """Check that every entry of the lock is cleared by audits, exemptions or trust, and show by which.

    With SOURCE, the code that is there now is checked: it must be pinned, and cleared. No server is asked
    unless --online. Exits with 1 if something is not cleared.
    """
    bench = open_workbench(store_path, lockfile)
    book, hub = bench.ledger(), HubOptions(local_files_only=not online)
    outcome = Outcome()
    if not sources:
        if not bench.lock.packages:
            raise RefusedError("nothing is pinned, so nothing was checked", subject=str(lockfile),
                               remedy="safe-remote-code pin SOURCE")  # fmt: skip
        texts = bench.texts(hub)
        for package in bench.lock.packages:
            with outcome.each(package.source):
                _judge(package, None, bench, book, texts)
    for location in sources:
        with outcome.each(location):
            source = options.opened(location, None, repo_type, not online)
            package, code = bench.current(source)
            _judge(package, code, bench, book, bench.texts(hub, source))
            _check_pinned(package, bench)
    if outcome.code == REFUSED:
        tell(f"  For the smallest reviews that would clear it: {bench.line('suggest')}")
    return outcome.code


def _judge(package: LockedPackage, code: Snapshot | None, bench: Workbench, book: Ledger, texts: Texts) -> None:
    """Show how `package` is cleared.

    Raises:
        NotClearedError: it is not; the lines that nobody reviewed are shown. ViolationError: it is bad.
    """
    try:
        say(_cleared_lines(book.clear(package)))
    except NotClearedError as error:
        found = opening(package, book, texts, code)
        say(_open_lines(found, bench, book))
        review, certify = found.commands(bench)
        raise NotClearedError(error.message, subject=error.subject, remedy=f"{review}\n  and then: {certify}") from None


def _check_pinned(package: LockedPackage, bench: Workbench) -> None:
    """Return if the lock holds this content for its source.

    Raises:
        DigestMismatchError: it holds other content, or none.
    """
    pinned = bench.lock.of_source(package.source)
    if package.digest in {other.digest for other in pinned}:
        return
    how = difference(pinned[-1], package) if pinned else "nothing is pinned for this source"
    raise DigestMismatchError(f"the code is not what {bench.lockfile} holds: {how}", subject=package.source,
                              remedy=bench.pin_command(package))  # fmt: skip


def _title(package: LockedPackage) -> Text:
    line = Text(visible(package.source), style="bold")
    return line.append(f"{f' @ {package.commit}' if package.commit else ''}  {package.digest}", style="dim")


def _cleared_lines(cleared: Cleared) -> Iterator[Text]:
    yield _title(cleared.package)
    for criterion, chain in sorted(cleared.chains.items()):
        yield Text("  cleared ", style="green") + Text(criterion, style="bold")
        for link in chain:
            yield Text(visible(f"    {link}"))


def _open_lines(found: Opening, bench: Workbench, book: Ledger) -> Iterator[Text]:
    package = found.package
    yield _title(package)
    yield Text("  NOT cleared", style="bold red")
    for reason in discounted(bench.store, bench.peers, package.digest, book.today):
        yield Text(visible(f"    {reason}"), style="yellow")
    if found.code is None:
        yield Text("    its text is not at hand: pin it again here, or use --online", style="yellow")
        return
    if found.base is None:
        yield Text(f"    nothing like it was reviewed: {count(found.lines or 0, 'line')} to read")
        return
    yield Text(f"    {count(found.lines or 0, 'line')} changed since the reviewed {found.base.digest}")
    for path in sorted({*found.base.manifest, *found.code.manifest}):
        if found.base.manifest.get(path) != found.code.manifest.get(path):
            yield Text(visible(f"    {path}"), style="bold")
            yield from diff_lines(diff(_text(found.base, path), _text(found.code, path)), _SHOWN_LINES)


def _text(code: Snapshot, path: str) -> str:
    return code[path].text if path in code else ""
