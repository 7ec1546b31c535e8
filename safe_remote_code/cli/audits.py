"""`safe-remote-code audits`: the records of the store other than audits themselves, one command each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import click

from ..audits.records import AuditKey, Criterion, Exemption, Trust, Violation
from ..errors import RefusedError
from ..report.review_text import count
from ..signing.key_files import load_public
from ..snapshot import is_digest
from . import options
from .audit_sets import export_set, import_set
from .console import say, tell
from .workbench import Workbench, criteria_of, open_workbench, parse_day, store_options, today

_Record = TypeVar("_Record")
_why = click.option("--why", required=True, help="The reason, for whoever reads the store later.")
_criteria = click.option("--criteria", multiple=True, metavar="NAME", help="[default: what the store requires]")


@click.group()
def audits() -> None:
    """Keys, criteria, violations, exemptions, trust; sets of other projects."""


audits.add_command(export_set)
audits.add_command(import_set)


def _made(subject: str, make: Callable[..., _Record], **fields: object) -> _Record:
    """The record.

    Raises:
        RefusedError: what it claims is not acceptable.
    """
    try:
        return make(**fields)
    except ValueError as error:
        raise RefusedError(str(error), subject=subject, remedy="correct the option") from None


@audits.command(short_help="List a public key whose signatures count for our own audits.")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.pub")
@store_options
def key(name: str, file: Path, store_path: Path, lockfile: Path) -> None:
    """List the public key in FILE.pub as NAME. With the first one, audits count only with a signature."""
    bench = open_workbench(store_path, lockfile)
    public = load_public(file)
    made = _made(name, AuditKey, name=name, public=public.pem)
    bench.save(keys=(*bench.store.keys, made), signatures=max(1, bench.store.signatures))
    say(f"listed: {name}, {public.algorithm}, {public.key_id}")
    if not bench.store.signatures and bench.store.audits:
        tell(f"  From now on an audit counts only with a signature: {count(len(bench.store.audits), 'audit')} "
             "so far must be certified again with --key.")  # fmt: skip


@audits.command(short_help="Revoke a key: at once, nothing that it alone signed clears anything.")
@click.argument("name")
@_why
@store_options
def revoke(name: str, why: str, store_path: Path, lockfile: Path) -> None:
    """Revoke the key NAME, of ours or of a peer. It counts for nothing from now on, whatever date an audit bears."""
    bench = open_workbench(store_path, lockfile)
    found = next((item for item in bench.store.keys if item.name == name), None)
    if found is None:
        raise RefusedError("the store lists no such key", subject=name, remedy=f"see [[key]] in {store_path}")
    revoked = _made(name, lambda **fields: replace(found, **fields), revoked=found.revoked or today(), why=why)
    bench.save(keys=tuple(revoked if item is found else item for item in bench.store.keys))
    say(f"revoked: {name}; see what that leaves open: {bench.line('check')}")


@audits.command(short_help="Say what the store requires.")
@click.option("--criteria", multiple=True, metavar="NAME", help="Everything in the lock must meet these.")
@click.option("--signatures", type=int, help="How many distinct keys must have signed an audit of ours.")
@store_options
def require(criteria: tuple[str, ...], signatures: int | None, store_path: Path, lockfile: Path) -> None:
    """Change which criteria everything must meet, or how many signatures an audit of ours needs."""
    bench = open_workbench(store_path, lockfile)
    needed = bench.store.signatures if signatures is None else signatures
    bench.save(required=criteria_of(criteria, bench.store), signatures=needed)
    say(f"required: {', '.join(criteria_of(criteria, bench.store))}; {count(needed, 'signature')}")


@audits.command(short_help="Define a criterion of your own.")
@click.argument("name")
@click.option("--description", required=True, help="What a reviewer who names it vouches for.")
@click.option("--implies", multiple=True, metavar="NAME", help="A criterion that is met whenever this one is.")
@store_options
def criterion(name: str, description: str, implies: tuple[str, ...], store_path: Path, lockfile: Path) -> None:
    """Define the criterion NAME beside safe-to-load and safe-to-serve, which mean the same everywhere."""
    bench = open_workbench(store_path, lockfile)
    made = _made(name, Criterion, name=name, description=description, implies=tuple(sorted(set(implies))))
    bench.save(criteria=(*bench.store.criteria, made))
    say(f"defined: {name}")


@audits.command(short_help="Record that content is bad; this wins over everything that clears it.")
@click.argument("what", metavar="SOURCE|DIGEST")
@_why
@click.option("--who", required=True, metavar="NAME", help="Who says so.")
@options.repo_type
@store_options
def violation(what: str, why: str, who: str, repo_type: str, store_path: Path, lockfile: Path) -> None:
    """Record that the code of SOURCE as it is now, or the package or file with this DIGEST, is bad."""
    bench = open_workbench(store_path, lockfile)
    digest = what if is_digest(what) else bench.current(options.opened(what, None, repo_type, False))[0].digest
    made = _made(what, Violation, digest=digest, who=who, why=why, date=today())
    bench.save(violations=(*bench.store.violations, made))
    say(f"violation: {digest}: {why}")


@audits.command(short_help="Let what is pinned of SOURCE pass for now, unreviewed.")
@click.argument("location", metavar="SOURCE")
@_why
@click.option("--until", metavar="DAY", help="The last day (YYYY-MM-DD)  [default: no end]")
@_criteria
@options.repo_type
@store_options
def exempt(
    location: str, why: str, until: str | None, criteria: tuple[str, ...], repo_type: str, store_path: Path,
    lockfile: Path,
) -> None:  # fmt: skip
    """Exempt what the lock holds of SOURCE: it passes without a review, and stays in `suggest --exempted`."""
    bench = open_workbench(store_path, lockfile)
    source = str(options.named(location, repo_type))
    pinned = bench.lock.of_source(source)
    if not pinned:
        raise RefusedError("nothing is pinned for this source", subject=source,
                           remedy=f"safe-remote-code pin {location}")  # fmt: skip
    end, names = parse_day(until, "--until"), criteria_of(criteria, bench.store)
    made = [_made(source, Exemption, source=source, digest=package.digest, criteria=names, date=today(), until=end,
                  notes=why) for package in pinned]  # fmt: skip
    fresh = {(item.source, item.digest, item.criteria) for item in made}
    kept = [item for item in bench.store.exemptions if (item.source, item.digest, item.criteria) not in fresh]
    bench.save(exemptions=(*kept, *made))
    say(f"exempted: {source}, {', '.join(package.digest for package in pinned)}{f', until {end}' if end else ''}")


@audits.command(short_help="Trust what a publisher on the Hub releases, until a day.")
@click.argument("publisher", metavar="hub:OWNER/*")
@click.option("--until", required=True, metavar="DAY", help="The last day (YYYY-MM-DD), at most a year from now.")
@_why
@_criteria
@store_options
def trust(publisher: str, until: str, why: str, criteria: tuple[str, ...], store_path: Path, lockfile: Path) -> None:
    """Let whatever is pinned of hub:OWNER/* (or hub:OWNER/NAME) pass unreviewed, through the day --until."""
    bench = open_workbench(store_path, lockfile)
    names = criteria_of(criteria, bench.store)
    made = _made(publisher, Trust, publisher=publisher, criteria=names, why=why, date=today(),
                 until=parse_day(until, "--until"))  # fmt: skip
    kept = [item for item in bench.store.trusted if (item.publisher, item.criteria) != (publisher, names)]
    bench.save(trusted=(*kept, made))
    say(f"trusted: {publisher}, through {made.until}")


@audits.command(short_help="Print what the store holds, in a line a record.")
@store_options
def show(store_path: Path, lockfile: Path) -> None:
    """Print the store in short: what it requires, and how many records of each kind there are."""
    bench = open_workbench(store_path, lockfile)
    store = bench.store
    say(f"requires {', '.join(store.required)}; {count(store.signatures, 'signature')} for an audit of ours")
    for item in store.keys:
        standing = f"REVOKED {item.revoked}: {item.why}" if item.revoked else "counts"
        say(f"  key {item.name}{f' of {item.peer}' if item.peer else ''}: {standing}")
    for source, number in sorted(Counter(audit.source for audit in store.audits).items()):
        say(f"  {count(number, 'audit')} of {source}")
    for bad in store.violations:
        say(f"  violation {bad.digest}: {bad.why} ({bad.who}, {bad.date})")
    for exemption in store.exemptions:
        say(f"  exemption {exemption.source}, {exemption.date}{_until(exemption.until)}")
    for trusted in store.trusted:
        say(f"  trust {trusted.publisher}, {trusted.date}{_until(trusted.until)}")
    _show_peers(bench)


def _until(day: object) -> str:
    return f", until {day}" if day else ""


def _show_peers(bench: Workbench) -> None:
    for peer in bench.peers:
        counted = f"{count(len(peer.shared.audits), 'audit')}, {count(len(peer.shared.violations), 'violation')}"
        say(f"  import {peer.pinned.name}: {counted}, issued {peer.shared.issued}, from {peer.pinned.origin}")
