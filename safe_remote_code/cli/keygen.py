"""`safe-remote-code keygen`: a key that signs, on disk for its owner only, and the lines that trust it."""

from __future__ import annotations

from pathlib import Path

import click

from ..signing.key_files import write_pair
from ..signing.keys import GENERATED, generate
from . import options
from .console import say, tell
from .passwords import new_password


@click.command(short_help="Make a key for signing.")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@click.option(
    "--algorithm", type=click.Choice(GENERATED), default="ed25519", show_default=True,
    help="Model signatures (sign --oms) need one of the ECDSA kinds.",
)  # fmt: skip
@options.password_file
@click.option("--no-password", is_flag=True, help="Leave the key unencrypted; whoever reads the file can sign.")
def keygen(path: Path, algorithm: str, password_file: Path | None, no_password: bool) -> None:
    """Write a new private key to FILE (encrypted, mode 0600) and its public half to FILE.pub.

    Prints the lines of a policy file that name the key.
    """
    if no_password and password_file is not None:
        raise click.UsageError("--no-password and --password-file exclude each other")
    password = None if no_password else new_password(password_file)
    key = generate(algorithm)
    public = write_pair(key, path, password)
    tell(f"{path}: private key, keep it; {public}: public key, give it to whoever trusts you")
    name = "".join(char if char.isascii() and char.isalnum() else "-" for char in path.stem).strip("-") or "key"
    say(f'[[key]]  # key_id = "{key.public.key_id}"')
    say(f'name = "{name}"')
    say(f'public = """\n{key.public.pem}"""'.split("\n"))
