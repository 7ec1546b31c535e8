"""What this user has seen: the highest approved version of each source in each project, and the latest time.

Guarantee: a version that was seen is never forgotten by a crash or by two processes at once (a lock, a new
file, fsync, rename), and a memory that cannot be read refuses; it does not begin anew.

A project is the place of its lock file: two projects may pin different versions of one source. It does
not help a place that sees a source for the first time; `minimum_version` in the policy does.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from ..errors import DocumentError, SignatureError
from ..limits import MAX_DOCUMENT_BYTES
from ..signing.store import write_file
from ..signing.strict_json import integer_of, object_of, only_keys, read_object, text_of, write_object
from ..signing.times import CLOCK_SKEW, format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Noting the time at every load would write at every load; an hour is enough to see a clock that was set back.
_NOTE_EVERY: Final = timedelta(hours=1)
_KEYS: Final = frozenset({"format", "time", "seen"})
_START: Final = datetime(1970, 1, 1, tzinfo=UTC)


def default_memory() -> Path:
    """`$XDG_STATE_HOME/safe-remote-code/seen.json`."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(base) / "safe-remote-code" / "seen.json"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The latest time that was seen, and a number for each name: an approved version, or a rotation."""

    time: datetime = _START
    numbers: Mapping[str, int] = field(default_factory=dict)

    def check_clock(self, now: datetime) -> None:
        """Return if the clock has not gone back.

        Raises:
            SignatureError: it has, by more than clocks differ; expiry cannot be judged.
        """
        if now < self.time - CLOCK_SKEW:
            raise SignatureError(
                f"the clock says {format_time(now)}, but {format_time(self.time)} was seen before",
                subject="clock",
                remedy="set the clock; if it was wrong before: safe-remote-code trust forget --clock",
            )

    def check_numbers(self, numbers: Mapping[str, int], remedy: str) -> None:
        """Return if none of `numbers` is lower than the one seen under its name.

        Raises:
            SignatureError: a rollback.
        """
        for name, number in sorted(numbers.items()):
            if number < self.numbers.get(name, 0):
                raise SignatureError(f"{number} is a rollback: {self.numbers[name]} was seen here before",
                                     subject=name, remedy=remedy)  # fmt: skip


def recall(path: Path) -> Seen:
    """What was seen; nothing if there is no file.

    Raises:
        DocumentError: the file cannot be read, or is malformed.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_DOCUMENT_BYTES + 1)
    except FileNotFoundError:
        return Seen()
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror}", subject=str(path)) from None
    try:
        return _parse(data, str(path))
    except SignatureError as error:
        raise DocumentError(f"spoilt: {error.message}", subject=str(path),
                            remedy="restore it; removing it forgets which versions were seen") from None  # fmt: skip


def remember(path: Path, numbers: Mapping[str, int], now: datetime) -> None:
    """Note that `numbers` and the time `now` were seen.

    Raises:
        DocumentError: a higher number could not be written down. SignatureError: a rollback that another
            process brought about meanwhile.
    """
    seen = recall(path)
    new = any(number > seen.numbers.get(name, 0) for name, number in numbers.items())
    if not new and now < seen.time + _NOTE_EVERY:
        return
    try:
        with _locked(path):
            latest = recall(path)
            latest.check_numbers(numbers, "load again")
            _write(path, Seen(time=max(now, latest.time), numbers={**latest.numbers, **numbers}))
    except DocumentError:
        if new:
            raise  # the hour alone is not worth refusing a load on a read-only machine


def forget(path: Path, prefix: str | None, *, clock: bool) -> int:
    """Drop the numbers of all names that begin with `prefix` (of none if it is None), and the time if `clock`.

    The number of those dropped is returned.

    Raises:
        DocumentError: it cannot be read or written.
    """
    with _locked(path):
        seen = recall(path)
        kept = {name: number for name, number in seen.numbers.items() if prefix is None or not name.startswith(prefix)}
        _write(path, Seen(time=_START if clock else seen.time, numbers=kept))
    return len(seen.numbers) - len(kept)


def _parse(data: bytes, subject: str) -> Seen:
    value = read_object(data, subject, MAX_DOCUMENT_BYTES)
    only_keys(value, _KEYS, subject)
    if integer_of(value, "format", subject) != 1:
        raise SignatureError("of another format", subject=subject)
    seen = object_of(value, "seen", subject)
    numbers = {name: integer_of(seen, name, subject) for name in seen}
    return Seen(time=parse_time(text_of(value, "time", subject), subject), numbers=numbers)


def _write(path: Path, seen: Seen) -> None:
    numbers: dict[str, object] = dict(seen.numbers)
    write_file(path, write_object({"format": 1, "time": format_time(seen.time), "seen": numbers}) + b"\n")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone among the processes of this machine; the lock file is never removed, or two could hold it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DocumentError(f"cannot be written: {error.strerror}", subject=str(path)) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
