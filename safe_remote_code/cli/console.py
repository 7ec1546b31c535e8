"""Where the command line prints: results to stdout, talk to stderr, nothing hostile to either.

Nothing is ever parsed as rich markup, and lines are not wrapped, so that a pipe sees what a person sees.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, final

import click
from rich.console import Console
from rich.text import Text

from ..errors import DocumentError, FetchError, PolicyError, RemoteCodeError
from ..report.visible import visible, visible_lines
from .exits import CLEAN, exit_code


@final
class _Console(Console):
    """Rich's console, except that a closed pipe is an error for the one border that translates errors."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _console(stream: IO[str]) -> Console:
    return _Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)


def say(lines: Text | str | Iterable[Text | str]) -> None:
    """Print a result to stdout. A `str` is made visible first.

    Raises:
        DocumentError: it cannot be written.
    """
    console = _console(sys.stdout)
    for line in _each(lines):
        with _stdout():
            console.print(line)


def tell(lines: Text | str | Iterable[Text | str]) -> None:
    """Print talk for the person at the keyboard to stderr."""
    console = _console(sys.stderr)
    for line in _each(lines):
        console.print(line)


def _each(lines: Text | str | Iterable[Text | str]) -> Iterator[Text]:
    for line in (lines,) if isinstance(lines, Text | str) else lines:
        yield Text(visible(line)) if isinstance(line, str) else line


@contextmanager
def _stdout() -> Iterator[None]:
    """Around each write to stdout: a full disk is for the user to mend, and no bug of ours."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise unwritable_stdout(error) from None


def unwritable_stdout(error: OSError) -> DocumentError:
    """The error for the person who sent the output there."""
    silence(sys.stdout)
    return DocumentError(f"cannot be written: {error.strerror or error}", subject="standard output",
                         remedy="make room there, or send it elsewhere, and run again")  # fmt: skip


def silence(stream: IO[str]) -> None:
    """Keep the interpreter from complaining, at exit, about what it could not write."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def write_document(text: str, output: Path | None) -> None:
    """Write a machine-readable result to `output`, or to stdout.

    Raises:
        DocumentError: it cannot be written.
    """
    if output is None:
        with _stdout():
            click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise DocumentError(f"cannot be written: {error.strerror or error}", subject=str(output)) from None


def error_lines(error: RemoteCodeError) -> Iterator[Text]:
    """What, where, what to do."""
    where = f"{error.subject}: " if error.subject else ""
    head = Text("error: ", style="bold red")
    head.append(visible(f"{where}{error.message}"))
    head.append(f" [{error.code}]", style="dim")
    yield head
    for finding in error.findings if isinstance(error, PolicyError) else ():
        yield Text(f"  {visible(str(finding))}")
    if error.remedy:
        yield Text("\n".join(visible_lines(f"  To continue: {error.remedy}")))


class Outcome:
    """The exit code of a command that goes on with its next source after one failed."""

    def __init__(self) -> None:
        self.code = CLEAN

    def add(self, code: int) -> None:
        """Keep the worst: what could not be checked (3) outranks what was refused (1)."""
        self.code = max(self.code, code)

    @contextmanager
    def each(self, location: str) -> Iterator[None]:
        """Turn a refusal or a failed fetch in the body, about `location`, into a message and an exit code.

        Raises:
            DocumentError: our own lock or policy is malformed, for every source alike.
        """
        try:
            yield
        except DocumentError:
            raise
        except RemoteCodeError as error:
            tell(error_lines(error))
            if isinstance(error, FetchError) and not location.startswith("hub:") and not os.path.isdir(location):
                tell(f"  There is no directory {location} here, so the name was taken for a Hub repository.")
            self.add(exit_code(error))
