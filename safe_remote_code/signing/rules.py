"""Trust rules of a policy: whose signatures, and how many, the code of some sources needs.

Guarantee: a `TrustRule` can be met and is not empty: it names sources, as many distinct keys as its
threshold, and a reason. Rules of a policy and of those that it extends add up, and each one that
matches must be met; a revocation is inherited for good.

```toml
[[key]]
name = "alice"
public = "ssh-ed25519 AAAA..."          # or a PEM public key

[[trust]]
name = "our-org"
sources = ["hub:our-org/*"]
keys = ["alice", "bob", "carol"]
threshold = 2
expires = "2027-11-01T00:00:00Z"
minimum_version = 4                      # optional
why = "two of the three maintainers"

[[revoked]]
key_id = "<64 hex digits>"               # `safe-remote-code keygen` prints it
why = "laptop stolen on 2026-11-20"
```
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, final

from ..errors import SignatureError
from .keys import PublicKey, parse_public
from .times import parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ..documents import Table

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_KEY_ID: Final = re.compile(r"[0-9a-f]{64}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRule:
    """Code of `sources` needs valid signatures by `threshold` distinct keys of `keys`, until `expires`."""

    name: str
    sources: tuple[str, ...]
    keys: frozenset[PublicKey]
    threshold: int
    expires: datetime
    why: str
    minimum_version: int = 1

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError("a rule's name has letters, digits and . _ - only")
        if not self.sources or not self.why.strip():
            raise ValueError("a rule has sources and a reason")
        if not 1 <= self.threshold <= len(self.keys):
            raise ValueError(f"a threshold of {self.threshold} cannot be met by {len(self.keys)} distinct keys")
        if self.minimum_version < 1:
            raise ValueError("versions begin at 1")

    def applies_to(self, source: str) -> bool:
        """Whether code of `source` needs these signatures."""
        return any(fnmatchcase(source, pattern) for pattern in self.sources)


def read_keys(tables: list[Table]) -> dict[str, PublicKey]:
    """The keys that the `[[key]]` tables of one file name.

    Raises:
        DocumentError: not a key, or a name that is there twice.
    """
    keys: dict[str, PublicKey] = {}
    for table in tables:
        name = table.text("name")
        if not _NAME.fullmatch(name):
            raise table.error("name", f"letters, digits and . _ - only, not {name!r:.80}")
        try:
            key = parse_public(table.text("public"))
        except SignatureError as error:
            raise table.error("public", error.message, error.remedy or "correct the file") from None
        if name in keys:
            raise table.error("name", f"{name!r} is there twice")
        keys[name] = key
        table.done()
    return keys


def read_rule(table: Table, keys: Mapping[str, PublicKey]) -> TrustRule:
    """One `[[trust]]` table.

    Raises:
        DocumentError: malformed, empty, impossible to meet, or one key under two names.
    """
    names = table.texts("keys", None)
    unknown = sorted(set(names) - set(keys))
    if unknown:
        raise table.error("keys", f"no [[key]] is named {unknown[0]!r}")
    distinct = frozenset(keys[name] for name in names)
    if len(distinct) != len(names):
        raise table.error("keys", "two of these names are one key, which would count once")
    try:
        rule = TrustRule(
            name=table.text("name"),
            sources=table.texts("sources", None),
            keys=distinct,
            threshold=_integer(table, "threshold", 1),
            expires=parse_time(table.text("expires"), "expires"),
            why=table.text("why"),
            minimum_version=_integer(table, "minimum_version", 1),
        )
    except (ValueError, SignatureError) as error:
        raise table.error("", error.message if isinstance(error, SignatureError) else str(error)) from None
    table.done()
    return rule


def _integer(table: Table, key: str, default: int) -> int:
    value = table.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise table.error(key, f"an integer, not {value!r:.40}")
    return value


def read_revoked(tables: list[Table]) -> frozenset[str]:
    """The key ids that `[[revoked]]` tables name.

    Raises:
        DocumentError: not a key id, or no reason.
    """
    revoked = set()
    for table in tables:
        key_id = table.text("key_id")
        if not _KEY_ID.fullmatch(key_id):
            raise table.error("key_id", f"64 hex digits, not {key_id!r:.80}")
        if not table.text("why").strip():
            raise table.error("why", "a revocation says why")
        revoked.add(key_id)
        table.done()
    return frozenset(revoked)
