"""`--key` for commands that sign: the key files that the user names, and what a store calls those keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..audits.signed import counted_keys
from ..errors import SignatureError
from . import options
from .passwords import opened_key

if TYPE_CHECKING:
    from ..audits.store import AuditStore
    from ..signing.keys import PrivateKey

_Command = TypeVar("_Command", bound=Callable[..., Any])


def key_option(command: _Command) -> _Command:
    """`--key FILE`, which may be given several times, and `--password-file`."""
    path = click.Path(dir_okay=False, path_type=Path)
    key = click.option("--key", "key_files", type=path, multiple=True, metavar="FILE",
                       help="Sign with this private key; may be given several times.")  # fmt: skip
    return key(options.password_file(command))


def private_keys(files: tuple[Path, ...], password_file: Path | None) -> list[PrivateKey]:
    """The keys in `files`, each once.

    Raises:
        DocumentError: a file cannot be read, or others can read it. SignatureError: no key that is accepted.
    """
    keys = [opened_key(file, password_file) for file in files]
    return list({key.public.key_id: key for key in keys}.values())


def names_of(keys: list[PrivateKey], store: AuditStore) -> list[str]:
    """What `store` calls these keys.

    Raises:
        SignatureError: it does not list one of them, or revoked it: such a signature would count for nothing.
    """
    listed = {key.key_id: name for name, key in counted_keys(store.keys).items()}
    for key in keys:
        if key.public.key_id not in listed:
            raise SignatureError("the store does not list this key, or it is revoked", subject=key.public.key_id,
                                 remedy="safe-remote-code audits key NAME FILE.pub")  # fmt: skip
    return sorted(listed[key.public.key_id] for key in keys)
