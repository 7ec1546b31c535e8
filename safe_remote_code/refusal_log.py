"""What was refused in this process, for those whose caller swallowed the exception.

transformers, vLLM and others catch broad exceptions around loading and go on with something else.
Each refusal is therefore also logged once, and kept here.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from .errors import RemoteCodeError

_LOGGER: Final = logging.getLogger(__name__)
#: Kept refusals; the count goes on beyond.
_MAX_KEPT: Final = 1000


@final
class RefusalLog:
    """An append-only, bounded record of refusals."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: deque[RemoteCodeError] = deque(maxlen=_MAX_KEPT)
        self.count = 0

    def record(self, error: RemoteCodeError) -> RemoteCodeError:
        """Note `error`, once, and give it back to be raised."""
        with self._lock:
            if any(error is known for known in self._kept):
                return error
            self._kept.append(error)
            self.count += 1
        _LOGGER.warning("%s", error)
        return error

    def all(self) -> tuple[RemoteCodeError, ...]:
        """The refusals so far, oldest first."""
        with self._lock:
            return tuple(self._kept)


LOG: Final = RefusalLog()


def refusals() -> tuple[RemoteCodeError, ...]:
    """Everything that was refused in this process so far, oldest first (at most the last 1000)."""
    return LOG.all()
