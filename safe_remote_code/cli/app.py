"""The `safe-remote-code` command: one group, one place where errors become exit codes."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any, Final, NoReturn, TextIO, final

import click
from rich.text import Text

from .. import __version__
from ..errors import RemoteCodeError
from .audit import audit
from .audits import audits
from .certify import certify
from .check import check
from .console import error_lines, silence, tell, unwritable_stdout
from .exits import CLEAN, INTERNAL, INTERRUPTED, PIPE_CLOSED, USAGE, exit_code
from .explain import explain
from .keygen import keygen
from .pin import pin
from .policy import policy
from .review import review
from .run import run, self_check
from .sign import sign
from .suggest import init, suggest
from .trust import trust
from .verify import verify

_EPILOG: Final = """\b
Exit codes:
  0  clean, or done
  1  findings, or refused
  2  wrong usage, a malformed lock or policy file, or output that cannot be written
  3  the code could not be fetched or read; trying again may help
  4  an internal error; --debug shows the traceback

SOURCE is a local directory or the id of a Hub repository. None of these commands runs code of it, but `audit --run`,
in a process that the kernel confines, and `run`, which starts a program of yours under the kernel wall and leaves
with its exit code.
"""
_CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    tell(f"warning: {message}")


@final
class Program(click.Group):
    """The group, with errors translated at this one border."""

    def main(self, args: Sequence[str] | None = None, *_: Any, **extra: Any) -> NoReturn:
        """Run, and leave by `SystemExit` with one of the documented codes."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        arguments = list(sys.argv[1:] if args is None else args)
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = self._run(arguments, extra)
        sys.exit(code)

    def _run(self, arguments: list[str], extra: dict[str, Any]) -> int:
        try:
            extra.update(standalone_mode=False, prog_name="safe-remote-code")
            result = super().main(arguments, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            return USAGE
        except click.ClickException as error:
            tell([f"error: {error.format_message()}", "  Try 'safe-remote-code --help'."])
            return USAGE
        except RemoteCodeError as error:
            tell(error_lines(error))
            return exit_code(error)
        except (click.Abort, KeyboardInterrupt):
            tell("interrupted")
            return INTERRUPTED
        except BrokenPipeError:
            silence(sys.stdout)
            return PIPE_CLOSED
        except Exception as error:  # the last border: whatever is left is a bug of ours
            if isinstance(error, OSError) and _is_of_click(error):
                tell(error_lines(unwritable_stdout(error)))
                return USAGE
            return _internal(error, "--debug" in arguments)
        return result if isinstance(result, int) else CLEAN


def _is_of_click(error: OSError) -> bool:
    """Whether it was raised where click prints: help and version, which do not come by our console."""
    *_, (frame, _line) = traceback.walk_tb(error.__traceback__)
    return bool(frame.f_globals["__name__"] == click.utils.__name__)


def _internal(error: Exception, debug: bool) -> int:
    if debug:
        tell("".join(traceback.format_exception(error)).splitlines())
    what = Text("internal error: ", style="bold red")
    tell([what + Text(type(error).__name__), f"  {error}"])
    if not debug:
        tell("  Nothing was decided. Run again with --debug before the command for the traceback, and report it.")
    return INTERNAL


@click.group(cls=Program, context_settings=_CONTEXT, epilog=_EPILOG)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an internal error.")
def program(debug: bool) -> None:
    """Pin, verify and audit the Python code of model repositories, without running it."""


_COMMANDS: Final = (
    pin, verify, audit, explain, policy, keygen, sign, trust, init, check, suggest, review, certify, audits,
    run, self_check,
)  # fmt: skip
for _command in _COMMANDS:
    program.add_command(_command)


def main() -> NoReturn:
    """The console entry point."""
    program.main()
