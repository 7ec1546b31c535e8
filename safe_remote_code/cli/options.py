"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..fetch import Source, open_source
from ..fetch.source import HubOptions
from ..lockfile import DEFAULT_LOCKFILE
from ..reference import RepoSource, parse_source

Command = TypeVar("Command", bound=Callable[..., Any])

sources = click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
lockfile = click.option(
    "--lockfile", type=click.Path(dir_okay=False, path_type=Path), default=DEFAULT_LOCKFILE, show_default=True,
    help="The lock file of this project.",
)  # fmt: skip
policy = click.option(
    "--policy", default="default", show_default=True, metavar="POLICY",
    help="A shipped policy (default, strict, explore) or a TOML file.",
)  # fmt: skip
password_file = click.option(
    "--password-file", type=click.Path(path_type=Path, dir_okay=False),
    help="Its first line is the password of the key, which is asked for otherwise.",
)  # fmt: skip
_revision = click.option("--revision", metavar="R", help="Commit, tag or branch of a Hub repository  [default: main]")
repo_type = click.option(
    "--repo-type", type=click.Choice(["model", "dataset", "space"]), default="model", show_default=True,
    help="The kind of Hub repository.",
)  # fmt: skip
_offline = click.option("--local-files-only", is_flag=True, help="Read the Hub cache and ask no server.")


def revision_options(command: Command) -> Command:
    """`--revision`, `--repo-type` and `--local-files-only`."""
    return _revision(repo_type(_offline(command)))


def named(location: str, repo_type: str) -> RepoSource:
    """The repository that the user named; also as messages and locks spell a Hub repository (`hub:owner/name`).

    Raises:
        RefusedError: neither a directory nor a well-formed id.
    """
    if not location.startswith("hub:"):
        return parse_source(location, repo_type)
    name = location.removeprefix("hub:")
    for kind in ("dataset", "space"):
        if name.startswith(f"{kind}s/") and name.count("/") == 2:
            name, repo_type = name.removeprefix(f"{kind}s/"), kind
    return RepoSource(kind="hub", location=name, repo_type=repo_type)  # type: ignore[arg-type]  # checked there


def opened(location: str, revision: str | None, repo_type: str, local_files_only: bool) -> Source:
    """The source that the user named.

    Raises:
        RefusedError: neither a directory nor a well-formed id.
        click.UsageError: a revision of a directory.
    """
    repo = named(location, repo_type)
    if repo.kind == "local" and revision is not None:
        raise click.UsageError(f"--revision is for Hub repositories; {location} is a directory")
    return open_source(repo, revision, HubOptions(local_files_only=local_files_only))
