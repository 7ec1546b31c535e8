"""The audit log: what loaded code did in this process, one JSON object a line.

Guarantee: while `audit_log(destination)` is open, every load, refusal and violation, every file that remote code
opens and every use of a granted capability that the monitor sees is told to `destination` before the caller goes
on; an event that cannot be told raises there, so nothing happens unlogged. Without a log, nothing is built.

It does not see: what native code does without an audit event (PEP 578).
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    Destination = str | os.PathLike[str] | Callable[["Event"], object]

FORMAT: Final = 1
EventKind = Literal["loaded", "refused", "denied", "tombstone", "granted", "opened"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the log.

    `event`: `loaded` (a class), `refused` (a load), `denied` (something that remote code tried), `tombstone` (a name
    without a grant was used), `granted` (a capability was used under a grant), `opened` (a file, in its own folders or
    below a folder that is being saved to). `source` and `digest` say whose code, `name` what: a class, path, name or
    audit event. `time` is UTC, RFC 3339.
    """

    event: EventKind
    source: str = ""
    digest: str = ""
    name: str = ""
    capability: str = ""
    message: str = ""
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="microseconds"))
    pid: int = field(default_factory=os.getpid)
    thread: int = field(default_factory=threading.get_ident)
    format: int = FORMAT

    def line(self) -> str:
        """The event as a line of JSON, ASCII only, without the line feed."""
        return json.dumps(asdict(self))


@final
class AuditLog:
    """An open log; `close()` it, or use it in a `with` statement."""

    def __init__(self, destination: Destination) -> None:
        self._descriptor: int | None = None
        if isinstance(destination, str | os.PathLike):
            # Opened now, so that later lines open nothing; one write a line, so that processes may share the file.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(os.fspath(destination), flags, 0o600)
            self._tell: Callable[[Event], object] = self._append
        elif callable(destination):
            self._tell = destination
        else:
            raise TypeError("the audit log goes to a path or to a function of one Event")
        _OPEN.append(self)

    def _append(self, event: Event) -> None:
        if self._descriptor is None:
            return
        left = f"{event.line()}\n".encode("ascii")
        while left:
            left = left[os.write(self._descriptor, left) :]

    def tell(self, event: Event) -> None:
        """Pass `event` on to the destination."""
        self._tell(event)

    def close(self) -> None:
        """Stop. A second call does nothing."""
        if self in _OPEN:
            _OPEN.remove(self)
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> AuditLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


_OPEN: Final[list[AuditLog]] = []


def audit_log(destination: Destination) -> AuditLog:
    """Log to `destination`, a file that is appended to or a function of one `Event`, until `close()`.

    `install(audit_log=destination)` does it for as long as it is installed.

    Raises:
        OSError: the file cannot be opened for appending. TypeError: neither a path nor a function.
    """
    return AuditLog(destination)


def is_logged() -> bool:
    """Whether anybody listens; ask before building an `Event` where speed matters."""
    return bool(_OPEN)


def tell(event: Event) -> None:
    """Pass `event` to every open log."""
    for log in tuple(_OPEN):
        log.tell(event)
