"""`safe-remote-code review`: what changed since content that was read, with what it means at its lines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..audits.store import AuditStore
from ..errors import NotClearedError, RefusedError, ViolationError
from ..fetch.source import HubOptions
from ..lockfile import read_lock
from ..policy import load_policy
from ..report import examine
from ..report.review import Review
from ..report.review import review as make_review
from ..report.review_page import review_page
from ..report.review_text import review_lines
from . import options
from .console import error_lines, say, tell, write_document
from .openings import opening
from .workbench import Workbench, full_digest, open_workbench, store_options

if TYPE_CHECKING:
    from ..lockfile import LockedPackage
    from ..snapshot import Snapshot
    from .texts import Texts


@click.command(short_help="Show the change of SOURCE since reviewed content, with findings at its lines.")
@click.argument("location", metavar="SOURCE")
@options.revision_options
@store_options
@options.policy
@click.option("--from", "base", metavar="DIGEST", help="Compare with this content"
              "  [default: the nearest that is cleared, else the nearest that is pinned]")  # fmt: skip
@click.option("--whole", is_flag=True, help="Show all of the code, as if nothing had been read.")
@click.option("--html", "page", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write one self-contained page for a browser.")  # fmt: skip
def review(
    location: str, revision: str | None, repo_type: str, local_files_only: bool, store_path: Path, lockfile: Path,
    policy: str, base: str | None, whole: bool, page: Path | None,
) -> None:  # fmt: skip
    """Show what changed in the code of SOURCE since content that somebody read, with findings and gained
    capabilities at the lines they belong to. Nothing is run.
    """
    if base and whole:
        raise click.UsageError("--from compares and --whole does not: give one of them")
    bench = _bench(store_path, lockfile)
    source = options.opened(location, revision, repo_type, local_files_only)
    package, code = bench.current(source)
    texts = bench.texts(HubOptions(local_files_only=local_files_only), source)
    before = None if whole else _base(base, package, code, bench, texts)
    made = make_review(examine(source, load_policy(policy), code), before)
    label = f"change since {before.digest}" if before is not None else "the whole code"
    if before is None and not whole:
        label += ", for nothing like it was read before"
    _tell_standing(package, bench)
    if page is None:
        say(review_lines(made, label))
    else:
        write_document(review_page(made, label, bench.command("certify", package, *_since(made))), page)
        say(f"written: {page}")


def _bench(store_path: Path, lockfile: Path) -> Workbench:
    """The workbench; an empty one where there is no store yet, for a review needs none."""
    if store_path.exists() or store_path.is_symlink():
        return open_workbench(store_path, lockfile)
    return Workbench(store_path=store_path, store=AuditStore(), lockfile=lockfile, lock=read_lock(lockfile), peers=())


def _since(made: Review) -> tuple[str, ...]:
    return ("--from", made.base.digest) if made.base is not None else ()


def _base(
    prefix: str | None, package: LockedPackage, code: Snapshot, bench: Workbench, texts: Texts
) -> Snapshot | None:
    """The content to compare with; None if nothing comes near.

    Raises:
        RefusedError: the content that was asked for is unknown, or its text is not at hand.
    """
    book = bench.ledger()
    pinned = {other.digest for other in bench.lock.of_source(package.source)} - {package.digest}
    if prefix is not None:
        digest = full_digest(prefix, {link.digest for link in book.links} | pinned)
        found = texts.snapshot(digest)
        if found is None:
            raise RefusedError("the text of this content is not at hand", subject=digest,
                               remedy="pin or certify it once on this machine, or give another --from")  # fmt: skip
        return found
    nearest = opening(package, book, texts, code).base
    if nearest is None:
        nearest = next((found for digest in sorted(pinned) if (found := texts.snapshot(digest)) is not None), None)
    return nearest


def _tell_standing(package: LockedPackage, bench: Workbench) -> None:
    try:
        bench.ledger().clear(package)
        tell("note: this content is cleared already: safe-remote-code check shows by whom")
    except ViolationError as error:
        tell(error_lines(error))
    except NotClearedError:
        pass  # that is why it is reviewed
