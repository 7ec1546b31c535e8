"""`--net HOST:PORT` and `--listen PORT` as ports."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

import click

from ..sandbox.confinement import ANY_PORT

_MAX_PORT: Final = 65535
_DNS: Final = 53


def connect_ports(texts: Iterable[str]) -> tuple[tuple[int, ...], frozenset[str]]:
    """(ports, hosts as they were named) of all `--net`. A host that must be looked up takes port 53 (DNS) as well.

    Raises:
        click.UsageError: malformed, or `none` beside others.
    """
    given = list(texts)
    if "none" in given and len(given) > 1:
        raise click.UsageError("--net none excludes every other --net")
    ports: set[int] = set()
    hosts: set[str] = set()
    for text in given:
        if text == "none":
            continue
        host, colon, port = text.rpartition(":")
        if not colon or not host:
            raise click.UsageError(f"--net takes HOST:PORT or none, not {text!r:.80}")
        hosts.add(host)
        ports |= _ports(port, "--net", lowest=1)
    if any(_needs_look_up(host) for host in hosts):
        ports.add(_DNS)
    return _sorted(ports), frozenset(hosts)


def _needs_look_up(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host not in ("*", "localhost")
    return False


def listen_ports(texts: Iterable[str]) -> tuple[int, ...]:
    """The ports of all `--listen`; 0 stands for one that the kernel picks.

    Raises:
        click.UsageError: malformed.
    """
    return _sorted({port for text in texts for port in _ports(text, "--listen", lowest=0)})


def _ports(text: str, option: str, lowest: int) -> set[int]:
    if text == "*":
        return {ANY_PORT}
    first, dash, last = text.partition("-")
    numbers = (first, last) if dash else (first, first)
    if not all(number.isascii() and number.isdigit() for number in numbers):
        raise click.UsageError(f"{option}: a port is a number, a range A-B, or *; not {text!r:.40}")
    low, high = map(int, numbers)
    if not lowest <= low <= high <= _MAX_PORT:
        raise click.UsageError(f"{option}: ports are {lowest} to {_MAX_PORT}, not {text!r:.40}")
    return set(range(low, high + 1))


def _sorted(ports: set[int]) -> tuple[int, ...]:
    return (ANY_PORT,) if ANY_PORT in ports else tuple(sorted(ports))
