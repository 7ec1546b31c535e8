"""The drop-in for `transformers.dynamic_module_utils.get_class_from_dynamic_module`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from ..collector import paused
from ..errors import PolicyError, RemoteCodeError
from ..events import Event, is_logged, tell
from ..fetch.source import HubOptions
from ..guard.ownership import owns_class, wraps_own
from ..lockfile import DEFAULT_LOCKFILE
from ..pipeline import load_package
from ..policy import load_policy
from ..reference import parse, parse_source
from ..refusal_log import LOG

if TYPE_CHECKING:
    import os

    from ..policy import Policy


@final
@dataclass(slots=True)
class Defaults:
    """What a call that names no policy or no lock file means; `install()` sets it."""

    policy: str | Policy = "default"
    lockfile: str | Path = DEFAULT_LOCKFILE


DEFAULTS: Final = Defaults()


def asked_revision(revision: str | None) -> str | None:
    """The revision that the user asked for, or None.

    transformers 5 resolves every revision before it loads, also the one that nobody gave, to what `main`
    is at that moment; for us no revision means the pinned commit.
    """
    return None if revision is not None and getattr(revision, "initial", revision) is None else revision


def get_class_from_dynamic_module(
    class_reference: str,
    pretrained_model_name_or_path: str | os.PathLike[str],
    cache_dir: str | os.PathLike[str] | None = None,
    force_download: bool = False,
    proxies: dict[str, str] | None = None,
    token: bool | str | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
    repo_type: str | None = None,
    code_revision: str | None = None,
    *,
    policy: str | os.PathLike[str] | Policy | None = None,
    lockfile: str | os.PathLike[str] | None = None,
    **kwargs: Any,
) -> type:
    """The class that `class_reference` (`[repo--]module.Class`) names, after every wall said yes.

    As in transformers, but for `policy` (a shipped name, a TOML file or a `Policy`) and `lockfile`; where they are not
    given, those of `install()` hold, and without it `default` and `remote-code.lock` in the working directory.
    `proxies` and further keyword arguments are taken and ignored, as there. Without a `revision`,
    the pinned commit is meant, not `main`.

    Raises:
        RefusedError: a wall said no (`NotPinnedError`, `DigestMismatchError`, `PolicyError`).
        FetchError: the code could not be read or downloaded.
        DocumentError: the lock or policy file is malformed.
        AttributeError: the module has no such class.
    """
    options = HubOptions(
        cache_dir=None if cache_dir is None else str(cache_dir),
        force_download=force_download,
        token=token,
        local_files_only=local_files_only,
    )
    try:
        ref = parse(
            class_reference,
            pretrained_model_name_or_path,
            revision=asked_revision(revision),
            code_revision=asked_revision(code_revision),
            repo_type=repo_type,
        )
        weights = parse_source(pretrained_model_name_or_path, repo_type)
        chosen = load_policy(DEFAULTS.policy if policy is None else policy)
        lockfile = DEFAULTS.lockfile if lockfile is None else lockfile
        if chosen.execution == "worker":
            from .worker.classes import remote_class

            return remote_class(ref, class_reference, weights, policy=chosen, lockfile=Path(lockfile), options=options)
        package = load_package(ref, policy=chosen, lockfile=lockfile, options=options, weights=weights)
        with paused():
            module = package.module(ref.path)
        loaded: type = getattr(module, ref.class_name)
        if not (owns_class(loaded) if isinstance(loaded, type) else wraps_own(loaded)):
            # transformers would set attributes of it, on behalf of a configuration file.
            raise PolicyError(f"{ref.class_name} is not made by this code but imported from a library",
                              subject=f"{package.context.source}:{ref.path}",
                              remedy="load the library's class itself, without auto_map")  # fmt: skip
        if is_logged():
            context, name = package.context, f"{ref.path}:{ref.class_name}"
            tell(Event(event="loaded", source=context.source, digest=context.digest, name=name))
        return loaded
    except RemoteCodeError as error:
        raise LOG.record(error) from error.__cause__
