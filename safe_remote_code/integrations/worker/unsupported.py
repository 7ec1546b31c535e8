"""What cannot work across the boundary says so, in one way."""

from __future__ import annotations

from typing import Final, NoReturn

from ...errors import UnsupportedInWorkerError

IN_PROCESS: Final = 'load it with a policy that says execution = "in-process"'


def unsupported(what: str) -> NoReturn:
    """Say that `what` needs the object in this process.

    Raises:
        UnsupportedInWorkerError: always.
    """
    raise UnsupportedInWorkerError(f"{what} does not work across the boundary of a worker", subject="worker",
                                   remedy=IN_PROCESS)  # fmt: skip
