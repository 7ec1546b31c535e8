"""`safe-remote-code trust`: replace the keys of a trust rule, and forget what this machine has seen."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..documents import read_bytes
from ..errors import DocumentError, SignatureError
from ..limits import MAX_ENVELOPE_BYTES
from ..policy import load_policy
from ..signing import dsse
from ..signing.key_files import load_public
from ..signing.keys import PublicKey
from ..signing.rotation import ROTATION_TYPE, KeySet, current_keys, rotation_payload
from ..signing.statements import PAYLOAD_TYPE, parse_statement
from ..signing.store import read_rotations, signature_folder, write_file
from ..signing.strict_json import from_base64, read_object, text_of, texts_of
from ..verify.memory import default_memory, forget
from . import options
from .console import say, tell
from .passwords import opened_key

if TYPE_CHECKING:
    from ..signing.keys import PrivateKey


@click.group()
def trust() -> None:
    """Look after trust rules: rotate their keys, forget versions that were seen."""


@trust.command("forget", short_help="Accept an older version of SOURCE once more.")
@click.argument("source", required=False, metavar="[SOURCE]")
@options.lockfile
@click.option("--clock", is_flag=True, help="Forget the latest time too, after the clock was wrong.")
def forget_command(source: str | None, lockfile: Path, clock: bool) -> None:
    """Forget which versions of SOURCE (as the lock spells it) were seen in the project of the lock file.

    Until a newer version is seen again, an older approval that still holds is accepted.
    """
    if source is None and not clock:
        raise click.UsageError("name a SOURCE, or give --clock")
    project = f"{os.path.realpath(lockfile)}: "
    count = forget(default_memory(), f"{project}{source} under " if source else None, clock=clock)
    say(f"forgotten: {count} versions{', and the time' if clock else ''}")


@trust.command(short_help="Replace the keys of a trust rule.")
@click.argument("rule_name", metavar="RULE")
@click.option("--policy", "policy_path", required=True, metavar="POLICY", help="The policy that holds the rule.")
@options.lockfile
@click.option("--to", "new_keys", multiple=True, type=click.Path(path_type=Path), help="A public key of the new set.")
@click.option("--threshold", type=click.IntRange(1), help="How many of the new keys must sign.")
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long they hold.")
@click.option("--key", "key_path", required=True, type=click.Path(path_type=Path), help="Your private key.")
@options.password_file
def rotate(
    rule_name: str, policy_path: str, lockfile: Path, new_keys: tuple[Path, ...], threshold: int | None, days: int,
    key_path: Path, password_file: Path | None,
) -> None:  # fmt: skip
    """Begin a rotation of RULE to the keys --to, or add your signature to the one that was begun.

    It counts once the threshold of the old keys and the threshold of the new keys have signed it. Until then it lies
    as N.pending beside the others, where nothing reads it.
    """
    policy, now = load_policy(policy_path), datetime.now(UTC).replace(microsecond=0)
    rule = next((rule for rule in policy.trust if rule.name == rule_name), None)
    if rule is None:
        raise DocumentError(f"has no trust rule {rule_name!r}", subject=policy.name)
    rotations = read_rotations(lockfile, rule_name)
    old = current_keys(rule, rotations, frozenset(), now)
    folder = signature_folder(lockfile) / "rotations" / rule_name
    pending, final = folder / f"{old.number + 1}.pending", folder / f"{old.number + 1}.json"
    key = opened_key(key_path, password_file)
    if pending.exists():
        if new_keys or threshold:
            raise click.UsageError(f"{pending} was begun; sign it without --to and --threshold, or remove it")
        envelope = _co_signed(pending, key)
    elif threshold is None or not new_keys:
        raise click.UsageError("--to KEY.pub (once for each new key) and --threshold begin a rotation")
    else:
        keys = frozenset(load_public(path) for path in new_keys)
        if len(keys) != len(new_keys):
            raise SignatureError("one of the new keys is given twice", subject=rule_name)
        new = KeySet(keys=keys, threshold=threshold, number=old.number + 1)
        payload = rotation_payload(rule_name, old, new, now, now + timedelta(days=days))
        envelope = dsse.sign(payload, PAYLOAD_TYPE, [key])
    tell(_shown(envelope))
    try:
        current_keys(rule, (*rotations, envelope), policy.revoked, now)
    except SignatureError as error:
        write_file(pending, envelope)
        tell(f"{pending}: not yet in force: {error.message}")
        return
    write_file(final, envelope)
    pending.unlink(missing_ok=True)
    say(f"{final}: in force. A policy that comes to list the new keys itself starts anew: remove {folder} then")


def _co_signed(pending: Path, key: PrivateKey) -> bytes:
    envelope = read_object(read_bytes(pending), str(pending), MAX_ENVELOPE_BYTES)
    payload = from_base64(text_of(envelope, "payload", str(pending)), str(pending))
    return dsse.merge(read_bytes(pending), dsse.sign(payload, PAYLOAD_TYPE, [key]))


def _shown(envelope: bytes) -> list[str]:
    """What is being signed, for the person who signs."""
    payload = from_base64(text_of(read_object(envelope, "rotation", MAX_ENVELOPE_BYTES), "payload", ""), "rotation")
    predicate = dict(parse_statement(payload, ROTATION_TYPE).predicate)
    ids = [PublicKey(from_base64(text, "rotation")).key_id for text in texts_of(predicate, "keys", "rotation")]
    head = f"rotation {predicate.get('number')}, until {predicate.get('expires')}: {predicate.get('threshold')} of"
    return [head, *(f"  {key_id}" for key_id in ids)]
