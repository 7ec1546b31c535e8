"""Points in time as signed documents spell them: RFC 3339, UTC, whole seconds (`2026-11-23T08:00:00Z`)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from ..errors import SignatureError

#: How far the clocks of a signer and of a reader may differ.
CLOCK_SKEW: Final = timedelta(minutes=5)
_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"


def parse_time(text: str, subject: str) -> datetime:
    """The time that `text` spells.

    Raises:
        SignatureError: another spelling, or no such time.
    """
    try:
        time = datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)
        if format_time(time) == text:
            return time
    except ValueError:
        pass  # one refusal for both reasons
    raise SignatureError(f"not a time like 2026-11-23T08:00:00Z: {text!r:.40}", subject=subject)


def format_time(time: datetime) -> str:
    """`time` in its one spelling.

    Raises:
        ValueError: it has no zone.
    """
    if time.tzinfo is None:
        raise ValueError("a point in time has a zone")
    return f"{time.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat()}Z"
