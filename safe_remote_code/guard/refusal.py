"""The error for what no policy can grant."""

from __future__ import annotations

from typing import NoReturn

from ..errors import GuardViolationError
from ..refusal_log import LOG


def refuse(what: str) -> NoReturn:
    """Record and raise that `what` is never granted.

    Raises:
        GuardViolationError: always.
    """
    raise LOG.record(GuardViolationError(what, remedy="this is never granted; remove it from the code"))
