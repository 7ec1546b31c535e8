"""`safe-remote-code run` and `self-check`: a program under the kernel wall, with the guard in every Python of it.

What runs unverified code is imported inside the functions, so that the commands that look cannot reach it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from ..errors import RefusedError
from . import options
from .console import say, tell, write_document
from .exits import CLEAN, REFUSED
from .ports import connect_ports, listen_ports

if TYPE_CHECKING:
    from ..launch import Run, Wishes
    from ..launch.checks import Check

_NAMES_PORTS_ONLY: Final = (
    "note: the kernel (Landlock) knows ports and no hosts: port {ports} of every host can be reached,"
    " not only of {hosts}."
)
_MECHANISMS: Final = ("landlock-files", "landlock-tcp", "landlock-scope", "seccomp", "limits", "descriptors")
_RUN: Final = {"ignore_unknown_options": False, "allow_interspersed_args": False}


def _grants(command: Any) -> Any:
    for option in reversed((
        click.option("--read", multiple=True, metavar="PATH", help="May be read, with all below it."),
        click.option("--write", multiple=True, metavar="DIR", help="May be written; made if it is not there."),
        click.option("--net", multiple=True, metavar="HOST:PORT|none",
                     help="May be connected to (TCP). PORT may be a range A-B or *. The kernel holds the port, "
                          "not the host.  [default: none]"),
        click.option("--listen", multiple=True, metavar="PORT",
                     help="May be served on (TCP); 0: a port of the kernel's choice."),
        click.option("--exec", "execute", multiple=True, metavar="PATH",
                     help="A further program, or folder of them, that may be started: confined, without the guard."),
        click.option("--env", "names", multiple=True, metavar="NAME", help="Keep this variable, HF_TOKEN for example."),
        click.option("--device", type=click.Choice(["auto", "cuda", "none"]), default="auto", show_default=True,
                     help="auto: NVIDIA GPUs, if there are any."),
        click.option("--unsafe-unix-sockets", is_flag=True,
                     help="Allow named UNIX sockets (DataLoader workers, multiprocessing managers). Before "
                          "Linux 7.1 the kernel cannot tell the program's own from those of other services."),
        click.option("--unsafe-without", multiple=True, type=click.Choice(_MECHANISMS),
                     help="Go on although the kernel cannot enforce this."),
    )):  # fmt: skip
        command = option(command)
    return command


@click.command(context_settings=_RUN, short_help="Run a program under the kernel wall, guarded.")
@options.policy
@options.lockfile
@_grants
@click.option(
    "--namespaces", is_flag=True, help="In namespaces of its own as well (needs bwrap): no network device at all."
)
@click.option("--status", is_flag=True, help="Print what the kernel enforces, to stderr.")
@click.argument("command", nargs=-1, required=True, metavar="-- COMMAND...")
def run(
    policy: str, lockfile: Path, namespaces: bool, status: bool, command: tuple[str, ...], **grants: Any
) -> NoReturn:
    """Run COMMAND, a Python program, under Landlock and seccomp, with the guard in it and in every Python below it.

    It may read its own modules, Python's libraries and the models that the lock names; write to a temporary folder of
    its own; and nothing else that no option grants. Leaves with the exit code of COMMAND (128 + n after signal n).
    """
    if namespaces:
        _into_namespaces(sys.argv, list(grants["net"]))
    wishes = _wishes(policy, lockfile, grants)
    ended = _started(wishes, command, dict(os.environ), show=status)
    sys.exit(ended.code)


@click.command("self-check", short_help="Prove in a child that guard and sandbox are on.")
@options.policy
@options.lockfile
@_grants
@click.option("--python", default=sys.executable, metavar="PATH", help="The Python to check.  [default: this one]")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON, to stdout.")
def self_check(policy: str, lockfile: Path, python: str, as_json: bool, **grants: Any) -> int:
    """Start a child as `run` would, try from there what must fail, and say what the kernel and the guard answered.

    Each attempt is first shown to work without the sandbox. Exits with 1 if something is not as it should be.
    """
    from ..launch.checks import checked

    wishes = _wishes(policy, lockfile, grants)
    status, results = checked(wishes, python, dict(os.environ))
    good = all(item.passed for item in results)
    if as_json:
        document = {
            "format": 1, "passed": good, "sandbox": status,
            "checks": [{"name": item.name, "passed": item.passed, "detail": item.detail} for item in results],
        }  # fmt: skip
        write_document(json.dumps(document, indent=1) + "\n", None)
    else:
        say(_status_lines(status))
        say(_line(item) for item in results)
        say("guard and sandbox are on" if good else "NOT as it should be")
    return CLEAN if good else REFUSED


def _line(item: Check) -> str:
    return f"  {'ok    ' if item.passed else 'FAILED'} {item.name}" + (f": {item.detail}" if item.detail else "")


def _wishes(policy: str, lockfile: Path, grants: Mapping[str, Any]) -> Wishes:
    from ..launch import Wishes

    connect, hosts = connect_ports(grants["net"])
    if named := sorted(host for host in hosts if host != "*"):
        ports = ", ".join(sorted({text.rpartition(":")[2] for text in grants["net"] if text != "none"}))
        tell(_NAMES_PORTS_ONLY.format(ports=ports, hosts=", ".join(named)))
    return Wishes(
        policy=policy, lockfile=lockfile, read=grants["read"], write=grants["write"], execute=grants["execute"],
        connect=connect, listen=listen_ports(grants["listen"]), environment=grants["names"],
        cuda=grants["device"] != "none", unsafe_unix_sockets=grants["unsafe_unix_sockets"],
        unsafe_without=frozenset(grants["unsafe_without"]),
    )  # fmt: skip


def _started(wishes: Wishes, command: tuple[str, ...], environment: dict[str, str], *, show: bool) -> Run:
    from ..launch import launch

    def started(status: dict[str, object]) -> None:
        if show:
            tell(_status_lines(status))

    return launch(wishes, command, environment, started)


def _status_lines(status: Mapping[str, object]) -> list[str]:
    from ..sandbox import SandboxStatus

    return SandboxStatus.parse(status).text().splitlines()


def _into_namespaces(arguments: list[str], net: list[str]) -> None:
    """Start again inside bwrap, without this option.

    Raises:
        RefusedError: there is no bwrap.
    """
    from ..launch.namespaces import find_bubblewrap, namespace_command

    program = find_bubblewrap(os.environ.get("PATH", os.defpath))
    if program is None:
        raise RefusedError(
            "--namespaces needs bwrap (bubblewrap), which is not installed",
            subject="run",
            remedy="install bubblewrap, or leave the option out: Landlock and seccomp hold without it",
        )
    inner = [
        sys.executable,
        "-P",
        "-m",
        "safe_remote_code",
        *[word for word in arguments[1:] if word != "--namespaces"],
    ]
    network = any(item != "none" for item in net) or "--listen" in arguments
    command = namespace_command(program, inner, network=network)
    os.execv(command[0], command)
