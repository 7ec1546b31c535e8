"""Reading our own TOML documents strictly: every complaint names its place.

A `Table` hands out values by key and type; `done()` refuses keys that nobody asked for, so that a
misspelt key is an error and never a silently ignored setting.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import tomli

from .errors import DocumentError
from .limits import MAX_DOCUMENT_BYTES


@final
@dataclass(slots=True)
class Table:
    """One TOML table at a named place of a document."""

    values: dict[str, object]
    document: str
    place: str = ""
    _asked: set[str] = field(default_factory=set)

    def error(self, key: str, message: str, remedy: str = "correct the file") -> DocumentError:
        """A `DocumentError` at `key` of this table."""
        place = f"{self.place}.{key}" if self.place and key else self.place or key
        return DocumentError(message, subject=f"{self.document}: {place}" if place else self.document, remedy=remedy)

    def get(self, key: str, default: object = None) -> object:
        """The raw value of `key`."""
        self._asked.add(key)
        return self.values.get(key, default)

    def text(self, key: str, default: str | None = None) -> str:
        """A string; required unless `default` is given."""
        value = self.get(key, default)
        if not isinstance(value, str):
            raise self.error(key, "a string is required" if value is None else f"a string, not {value!r:.80}")
        return value

    def texts(self, key: str, default: tuple[str, ...] | None = ()) -> tuple[str, ...]:
        """A list of strings without duplicates; required if `default` is None."""
        value = self.get(key, default)
        if value is None or not isinstance(value, list | tuple):
            raise self.error(key, "a list of strings is required")
        for index, item in enumerate(value):
            if not isinstance(item, str):
                raise self.error(f"{key}[{index}]", f"a string, not {item!r:.80}")
        if len(set(value)) != len(value):
            twice = next(item for item in value if value.count(item) > 1)
            raise self.error(key, f"{twice!r} is listed twice")
        return tuple(value)

    def flag(self, key: str, default: bool) -> bool:
        """A boolean."""
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, f"true or false, not {value!r:.80}")
        return value

    def table(self, key: str) -> Table:
        """A sub-table; empty when absent."""
        value = self.get(key, {})
        if not isinstance(value, dict):
            raise self.error(key, f"a table, not {value!r:.80}")
        return Table(value, self.document, f"{self.place}.{key}" if self.place else key)

    def tables(self, key: str) -> list[Table]:
        """An array of tables; empty when absent."""
        value = self.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.error(key, f"an array of tables [[{key}]]")
        prefix = f"{self.place}.{key}" if self.place else key
        return [Table(item, self.document, f"{prefix}[{index}]") for index, item in enumerate(value)]

    def done(self) -> None:
        """Refuse keys that nobody asked for."""
        unknown = sorted(set(self.values) - self._asked)
        if unknown:
            raise self.error(unknown[0], f"unknown key; known here: {', '.join(sorted(self._asked))}")


def read_bytes(path: Path) -> bytes:
    """The bytes of one of our documents.

    Raises:
        DocumentError: missing, unreadable or too large.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror or error}", subject=str(path)) from None
    if len(data) > MAX_DOCUMENT_BYTES:
        raise DocumentError(f"larger than {MAX_DOCUMENT_BYTES} bytes", subject=str(path))
    return data


def parse_toml(data: bytes, document: str, supported_format: int = 1) -> Table:
    """The root table of a TOML document of the supported `format`.

    Raises:
        DocumentError: not UTF-8, not TOML, or of another format version.
    """
    try:
        values = tomli.loads(data.decode("utf-8"))
    except (tomli.TOMLDecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise DocumentError(f"not TOML: {error}", subject=document, remedy="correct the file") from None
    table = Table(values, document)
    version = table.get("format")
    if version != supported_format or isinstance(version, bool):
        raise table.error("format", f"format = {supported_format} is required, not {version!r:.40}")
    return table
