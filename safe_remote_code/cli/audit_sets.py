"""`audits export` and `audits import`: sets that projects share."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..atomic import write_atomically
from ..audits.download import download
from ..audits.peers import Published, change_of_set, open_set, set_path, write_set
from ..audits.records import Audit, AuditKey, Violation, check_name
from ..audits.signed import counted_keys, sign_set
from ..audits.store import AuditSet
from ..audits.writing import format_set
from ..documents import read_bytes
from ..errors import RefusedError, SignatureError
from ..report.review_text import count
from ..signing.key_files import load_public
from ..signing.times import format_time
from .console import say, tell
from .key_options import key_option, private_keys
from .workbench import Workbench, changed, open_workbench, store_options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..signing.keys import PublicKey


@click.command("export", short_help="Write our audits and violations as a signed set for others.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@key_option
@store_options
def export_set(
    file: Path, key_files: tuple[Path, ...], password_file: Path | None, store_path: Path, lockfile: Path
) -> None:
    """Write our own criteria, audits and violations to FILE, signed. Exemptions and imports are not shared."""
    if not key_files:
        raise click.UsageError("a set is published signed: --key FILE")
    bench = open_workbench(store_path, lockfile)
    store, now = bench.store, datetime.datetime.now(datetime.UTC)
    shared = AuditSet(issued=format_time(now), criteria=store.criteria, audits=_counting(bench),
                      violations=store.violations)  # fmt: skip
    write_atomically(file, sign_set(format_set(shared), private_keys(key_files, password_file)))
    say(f"exported to {file}: {count(len(shared.audits), 'audit')}, {count(len(shared.violations), 'violation')}")
    if len(shared.audits) < len(store.audits):
        tell(f"  {count(len(store.audits) - len(shared.audits), 'audit')} left out: not signed as the store requires")


def _counting(bench: Workbench) -> tuple[Audit, ...]:
    """Our audits that count here: what does not clear anything for us is not vouched for to others."""
    steps = {(link.digest, link.base) for link in bench.ledger().links if link.kind in ("audit", "delta")}
    return tuple(audit for audit in bench.store.audits if (audit.digest, audit.base) in steps)


@click.command("import", short_help="Pin the signed set of another project; offline afterwards.")
@click.argument("name")
@click.argument("origin", metavar="URL|FILE")
@click.option("--key", "keys", type=click.Path(path_type=Path), multiple=True, metavar="FILE.pub",
              help="A public key of theirs; needed the first time, may be given several times.")  # fmt: skip
@click.option("--threshold", type=click.IntRange(min=1), help="How many of their keys must have signed"
              "  [default: as before, else 1]")  # fmt: skip
@click.option("--map", "pairs", multiple=True, metavar="THEIRS=OURS", help="A criterion of theirs that counts as ours.")
@click.option("--drop-violations", is_flag=True, help="Accept that they took a violation back.")
@store_options
def import_set(
    name: str, origin: str, keys: tuple[Path, ...], threshold: int | None, pairs: tuple[str, ...],
    drop_violations: bool, store_path: Path, lockfile: Path,
) -> None:  # fmt: skip
    """Pin the set at URL (https) or in FILE as NAME. Given again, it takes the newer set and shows what changed:
    what the peer no longer vouches for is named, and clears nothing from then on.
    """
    bench = open_workbench(store_path, lockfile)
    previous = next((peer for peer in bench.peers if peer.pinned.name == name), None)
    listed = (*bench.store.keys, *_new_keys(name, keys, bench))
    needed = threshold or (previous.pinned.threshold if previous else 1)
    renamed = _pairs(pairs) if pairs or previous is None else dict(previous.pinned.map)
    data = download(origin) if "://" in origin else read_bytes(Path(origin))
    published = open_set(data, name, origin, _trusted(listed, name), needed, renamed)
    if previous is not None:
        _show_change(published, previous.shared, drop_violations)
    others = [item for item in bench.store.imports if item.name != name]
    store = changed(bench.store, store_path, keys=listed, imports=(*others, published.pinned))
    write_set(published, set_path(store_path, name))
    bench.save(keys=store.keys, imports=store.imports)
    shared = published.shared
    say(f"imported {name}: {count(len(shared.audits), 'audit')}, {count(len(shared.violations), 'violation')}, "
        f"issued {shared.issued}")  # fmt: skip


def _trusted(listed: Iterable[AuditKey], name: str) -> list[PublicKey]:
    keys = counted_keys(listed, name)
    if not keys:
        raise SignatureError("no key of this peer is listed, or all are revoked", subject=name,
                             remedy="give --key FILE.pub, which the peer handed to you")  # fmt: skip
    return list(keys.values())


def _new_keys(name: str, files: tuple[Path, ...], bench: Workbench) -> list[AuditKey]:
    """Records for those of `files` that the store does not list for this peer yet.

    Raises:
        RefusedError: the name is not acceptable. SignatureError, DocumentError: a file is no public key.
    """
    known = {key.public for key in bench.store.keys if key.peer == name}
    taken = {key.name for key in bench.store.keys}
    made: list[AuditKey] = []
    for file in files:
        pem = load_public(file).pem
        if pem in known:
            continue
        free = next(label for number in range(1, 1000) if (label := f"{name}-{number}") not in taken)
        taken.add(free)
        try:
            made.append(AuditKey(name=check_name(free), peer=name, public=pem))
        except ValueError as error:
            raise RefusedError(str(error), subject=name, remedy="choose another name") from None
    return made


def _pairs(texts: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in texts:
        theirs, equals, ours = text.partition("=")
        if not equals:
            raise click.UsageError(f"--map is THEIRS=OURS, not {text!r}")
        found[theirs] = ours
    return found


def _show_change(published: Published, old: AuditSet, drop_violations: bool) -> None:
    """Say what changed upstream.

    Raises:
        SignatureError: the new set is older. RefusedError: it takes violations back.
    """
    change = change_of_set(old, published.shared, published.pinned.origin)
    for item in change.added:
        say(f"  added upstream: {_said(item)}")
    for item in change.removed:
        say(f"  REMOVED upstream: {_said(item)}")
    gone = [item for item in change.removed if isinstance(item, Violation)]
    if gone and not drop_violations:
        raise RefusedError(f"the new set no longer says that {gone[0].digest} is bad", subject=published.pinned.name,
                           remedy="ask the peer why; to accept it: the same with --drop-violations")  # fmt: skip


def _said(item: Audit | Violation) -> str:
    if isinstance(item, Violation):
        return f"violation of {item.digest}: {item.why} ({item.who}, {item.date})"
    what = f"change from {item.base} to" if item.base else "all of"
    return f"{what} {item.digest} ({item.source}) as {', '.join(item.criteria)}, {item.who}, {item.date}"
