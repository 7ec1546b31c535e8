"""`safe-remote-code policy`: check a policy file, show what it comes to, suggest a grant."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.text import Text

from ..errors import RefusedError
from ..policy import WALLS, load_policy
from ..report import examine, visible
from ..report.suggestion import Suggestion, suggest, suggestion_toml
from . import options
from .console import say, tell, write_document
from .exits import CLEAN, REFUSED

if TYPE_CHECKING:
    from ..policy import Grant, Policy

_WALL_QUESTIONS: Final = {
    "identity": "are these the pinned bytes?",
    "analysis": "does the text stay inside the allowlist?",
    "guard": "can running code reach more than it was granted?",
    "monitor": "is remote code behind a file, process, socket or library event?",
}


@click.group()
def policy() -> None:
    """Check, show and extend policies."""


@policy.command(short_help="Say whether a policy file is valid.")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
def check(file: Path) -> None:
    """Say whether FILE is a valid policy; exits with 2 and the place of the mistake if it is not."""
    loaded = load_policy(file if file.suffix == ".toml" else f"{os.path.join('.', file)}")
    for wall in sorted(loaded.unsafe_disable):
        tell(Text(f"warning: the {wall} wall is switched off", style="bold yellow"))
    grants, names = len(loaded.grants), sum(len(grant.names) for grant in loaded.grants)
    say(f"{file}: valid; policy {loaded.name}, {grants} grants with {names} names")


@policy.command(short_help="Print a policy with its inheritance resolved.")
@click.argument("which", default="default", metavar="[POLICY]")
@click.option("--names", is_flag=True, help="List every granted name.")
def show(which: str, names: bool) -> None:
    """Print POLICY with its inheritance resolved: sources, walls, and each grant with its why."""
    loaded = load_policy(which)
    say(_head(loaded))
    for grant in loaded.grants:
        say(_grant_lines(grant, names))


def _head(loaded: Policy) -> Iterator[Text]:
    yield Text(visible(f"policy {loaded.name}"), style="bold")
    yield Text(visible(f"  sources allowed: {', '.join(loaded.allow)}"))
    yield Text(visible(f"  sources denied:  {', '.join(loaded.deny) or 'none'}"))
    pinned = "code must be pinned" if loaded.pinning == "required" else "unpinned code is pinned on first use"
    yield Text(f"  pinning = {loaded.pinning}: {pinned}")
    waits = "raises when it is used" if loaded.deferred == "guard" else "refuses the code"
    yield Text(f"  deferred = {loaded.deferred}: what code merely mentions without a grant {waits}")
    for wall in WALLS:
        stands = loaded.stands(wall)
        line = Text(f"  wall {wall:<8} ")
        line.append("up " if stands else "OFF", style="green" if stands else "bold red")
        yield line.append(f"  {_WALL_QUESTIONS[wall]}")


def _grant_lines(grant: Grant, names: bool) -> Iterator[Text]:
    yield Text(visible(f"  grant: {grant.why}"), style="cyan")
    if grant.sources != ("*",):
        yield Text(visible(f"    only to: {', '.join(grant.sources)}"))
    if grant.capabilities:
        yield Text(visible(f"    capabilities: {', '.join(grant.capabilities)}"), style="bold yellow")
    if names:
        yield from (Text(f"    {line}") for line in textwrap.wrap(visible(", ".join(grant.names)), 110))
    elif grant.names:
        more = ", ..." if len(grant.names) > 3 else ""
        yield Text(visible(f"    {len(grant.names)} names: {', '.join(grant.names[:3])}{more}"))


@policy.command("suggest", short_help="Print the smallest grant that would admit SOURCE.")
@click.argument("location", metavar="SOURCE")
@options.revision_options
@options.policy
@click.option("--tombstones", is_flag=True, help="Grant also what the code merely mentions and loads without.")
def suggest_command(
    location: str, revision: str | None, repo_type: str, local_files_only: bool, policy: str, tombstones: bool
) -> int:
    """Print a policy file with the smallest grant that would admit the code of SOURCE.

    Exits with 1 if something refuses the code that no grant can lift.
    """
    chosen = load_policy(policy)
    found = examine(options.opened(location, revision, repo_type, local_files_only), chosen)
    if found.analysis is None:
        raise RefusedError("there is no code that could be read", subject=str(found.repo),
                           remedy=f"see safe-remote-code audit {location}")  # fmt: skip
    suggestion = suggest(found.analysis, chosen, str(found.repo), lift_tombstones=tombstones)
    tell(_remarks(suggestion, str(found.repo)))
    if suggestion.grant is None:
        say(f"no grant {'would help' if suggestion.remaining else 'is needed'}: {found.repo}, policy {chosen.name}")
    else:
        shipped = not policy.endswith(".toml") and os.sep not in policy
        write_document(suggestion_toml(suggestion, policy if shipped else os.path.abspath(policy)), None)
    return REFUSED if suggestion.remaining else CLEAN


def _remarks(suggestion: Suggestion, source: str) -> Iterator[str]:
    for finding in suggestion.remaining:
        yield f"no grant lifts: {finding}"
    if suggestion.tombstones:
        named = ", ".join(suggestion.tombstones)
        yield f"{source} also mentions, and loads without (--tombstones grants these too): {named}"
