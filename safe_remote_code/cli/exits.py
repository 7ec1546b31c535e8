"""Exit codes, by who must act. `safe-remote-code --help` prints them."""

from __future__ import annotations

from typing import Final

from ..errors import DocumentError, FetchError, RemoteCodeError

CLEAN: Final = 0
REFUSED: Final = 1
USAGE: Final = 2
FETCH: Final = 3
INTERNAL: Final = 4
#: What a shell reports for a program that Control-C ended.
INTERRUPTED: Final = 130
#: What a shell reports for a program whose reader went away (128 + SIGPIPE): not everything was shown.
PIPE_CLOSED: Final = 141


def exit_code(error: RemoteCodeError) -> int:
    """The exit code that says who must act on `error`."""
    if isinstance(error, DocumentError):
        return USAGE
    return FETCH if isinstance(error, FetchError) else REFUSED
