"""Starting a program under the kernel wall, with the guard in each Python below it: `safe-remote-code run`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .environment import added
from .grants import Wishes, derive
from .program import Program, find_program
from .start import Run, start

__all__ = ["Program", "Run", "Wishes", "derive", "find_program", "launch", "start"]


def launch(
    wishes: Wishes,
    command: Sequence[str],
    environment: Mapping[str, str],
    started: Callable[[dict[str, object]], None] = lambda status: None,
) -> Run:
    """Run `command` under what `wishes` and the lock grant, to its end. `started` is given the sandbox status.

    Raises:
        SandboxUnavailableError: the kernel cannot enforce it; nothing was started. RefusedError, FetchError: not a
            Python that can be guarded. DocumentError: lock or policy is malformed.
    """
    program = find_program(command, environment)
    return start(
        program,
        lambda folder: derive(wishes, program, environment, folder),
        environment,
        lambda folder: added(wishes, folder),
        started,
    )
