"""What was refused in this process, for those whose caller swallowed the exception.

transformers, vLLM and others catch broad exceptions around loading and go on with something else.
Each refusal is therefore also logged once, and kept here; or ends the process, where that was asked for.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, Literal, final

from .errors import GuardViolationError
from .events import Event, is_logged, tell

if TYPE_CHECKING:
    from .errors import RemoteCodeError
    from .events import EventKind

OnRefusal = Literal["raise", "abort"]
ON_REFUSAL: Final = ("raise", "abort")

_LOGGER: Final = logging.getLogger(__name__)
#: Kept refusals; the count goes on beyond.
_MAX_KEPT: Final = 1000
#: Exit status of a process that a refusal ended: EX_NOPERM of sysexits.h.
ABORTED: Final = 77


@final
class RefusalLog:
    """An append-only, bounded record of refusals."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: deque[RemoteCodeError] = deque(maxlen=_MAX_KEPT)
        self.count = 0
        self.on_refusal: OnRefusal = "raise"

    def record(
        self, error: RemoteCodeError, event: EventKind | None = None, *, capability: str = "", digest: str = ""
    ) -> RemoteCodeError:
        """Note `error`, once, and give it back to be raised; under `on_refusal = "abort"`, end the process."""
        with self._lock:
            if any(error is known for known in self._kept):
                return error
            self._kept.append(error)
            self.count += 1
        _LOGGER.warning("%s", error)
        if is_logged():
            kind = event or ("denied" if isinstance(error, GuardViolationError) else "refused")
            whose, said = error.subject, error.message
            tell(Event(event=kind, source=whose, digest=digest, name=error.code, capability=capability, message=said))
        if self.on_refusal == "abort":
            # No exception, which a caller could swallow, and no clean-up, which could run remote code.
            sys.stderr.write(f"safe_remote_code ends this process: {error}\n")
            sys.stderr.flush()
            os._exit(ABORTED)
        return error

    def all(self) -> tuple[RemoteCodeError, ...]:
        """The refusals so far, oldest first."""
        with self._lock:
            return tuple(self._kept)


LOG: Final = RefusalLog()


def refusals() -> tuple[RemoteCodeError, ...]:
    """Everything that was refused in this process so far, oldest first (at most the last 1000)."""
    return LOG.all()
