"""Passwords of private keys: asked for at the keyboard, or the first line of a file; never an argument, which
every process of the machine could read."""

from __future__ import annotations

from pathlib import Path

import click

from ..documents import read_bytes
from ..errors import DocumentError
from ..signing.key_files import is_encrypted, load_private
from ..signing.keys import PrivateKey


def new_password(file: Path | None) -> bytes:
    """The password for a new key.

    Raises:
        DocumentError: `file` cannot be read, or is empty.
    """
    if file is not None:
        return _first_line(file)
    text: str = click.prompt("Password of the new key", hide_input=True, confirmation_prompt=True, err=True)
    return text.encode("utf-8")


def opened_key(path: Path, file: Path | None) -> PrivateKey:
    """The private key at `path`; if it is encrypted, with the password from `file` or the keyboard.

    Raises:
        DocumentError, SignatureError: as `load_private`.
    """
    if not is_encrypted(path):
        return load_private(path)
    if file is not None:
        return load_private(path, _first_line(file))
    text: str = click.prompt(f"Password of {path}", hide_input=True, err=True)
    return load_private(path, text.encode("utf-8"))


def _first_line(file: Path) -> bytes:
    lines = read_bytes(file).splitlines()
    if not lines or not lines[0]:
        raise DocumentError("its first line should be the password", subject=str(file))
    return lines[0]
