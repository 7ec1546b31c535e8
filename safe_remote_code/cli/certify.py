"""`safe-remote-code certify`: record that somebody read this very content, and keep what was read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from ..audits.objects import ObjectFolder
from ..audits.records import Audit
from ..audits.signed import sign_audit
from ..errors import RefusedError
from . import options
from .console import say, tell
from .key_options import key_option, names_of, private_keys
from .workbench import Workbench, criteria_of, full_digest, open_workbench, store_options, today


@click.command(short_help="Record who reviewed the code of SOURCE, under which criteria.")
@click.argument("location", metavar="SOURCE")
@options.revision_options
@store_options
@click.option("--criteria", multiple=True, metavar="NAME", help="safe-to-load, safe-to-serve or your own"
              "  [default: what the store requires]")  # fmt: skip
@click.option("--from", "base", metavar="DIGEST", help="Only the change since this content was reviewed.")
@click.option("--who", metavar="NAME", help="Who reviewed it  [default: the names of the keys]")
@click.option("--notes", default="", help="What was looked at, and what was found.")
@key_option
def certify(
    location: str, revision: str | None, repo_type: str, local_files_only: bool, store_path: Path, lockfile: Path,
    criteria: tuple[str, ...], base: str | None, who: str | None, notes: str, key_files: tuple[Path, ...],
    password_file: Path | None,
) -> None:  # fmt: skip
    """Record that the code of SOURCE, as it is now, was reviewed: all of it, or the change --from other content.

    What was reviewed is kept beside the store, so that the next review shows only what changed.
    """
    bench = open_workbench(store_path, lockfile)
    keys = private_keys(key_files, password_file)
    names = names_of(keys, bench.store)
    if not keys and bench.store.signatures:
        raise RefusedError(f"an audit here counts only with {bench.store.signatures} signatures",
                           subject=str(store_path), remedy="give --key FILE")  # fmt: skip
    if not (who or names):
        raise click.UsageError("say who reviewed it: --who 'NAME <ADDRESS>', or sign with --key")
    package, code = bench.current(options.opened(location, revision, repo_type, local_files_only))
    bench.ledger().check_violations(package)
    audit = _audit(bench, package.source, package.commit, package.digest, criteria_of(criteria, bench.store), base,
                   who or ", ".join(names), notes)  # fmt: skip
    signed = sign_audit(audit, keys) if keys else audit
    _save(bench, signed)
    ObjectFolder(store_path).keep(code)
    what = f"the change from {signed.base}" if signed.base else "all of it"
    say(f"certified: {package.source}, {package.digest}, as {', '.join(signed.criteria)}, {what}, by {signed.who}"
        + (f", signed: {', '.join(names)}" if names else ""))  # fmt: skip
    if package.digest not in {pinned.digest for pinned in bench.lock.packages}:
        tell(f"note: {lockfile} does not pin this content; an audit says that it was read, a pin that it may load")


def _audit(
    bench: Workbench, source: str, commit: str | None, digest: str, criteria: tuple[str, ...], base: str | None,
    who: str, notes: str,
) -> Audit:  # fmt: skip
    """The record.

    Raises:
        RefusedError: a text or a digest in it is not acceptable.
    """
    try:
        known = {link.digest for link in bench.ledger().links} | {pinned.digest for pinned in bench.lock.packages}
        return Audit(source=source, commit=commit, digest=digest, criteria=criteria, who=who, notes=notes, date=today(),
                     base=full_digest(base, known) if base else None)  # fmt: skip
    except ValueError as error:
        raise RefusedError(str(error), subject=source, remedy="correct the option") from None


def _save(bench: Workbench, audit: Audit) -> None:
    """Add `audit`; one with the same words gets its signatures as well."""
    same = next((item for item in bench.store.audits if item.said == audit.said), None)
    others = [item for item in bench.store.audits if item is not same]
    if same is not None:
        new = {signature.key for signature in audit.signatures}
        kept = [signature for signature in same.signatures if signature.key not in new]
        audit = replace(audit, signatures=(*kept, *audit.signatures))
    bench.save(audits=(*others, audit))
