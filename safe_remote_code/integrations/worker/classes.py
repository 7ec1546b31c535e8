"""The class that `get_class_from_dynamic_module` returns under `execution = "worker"`.

It has the constructors of the repository's class and none of its code: they start or find the worker and give
back what was loaded there. Making it verifies and admits the code in this process, so that a refusal is the
same as in process and needs no worker.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, final

from ...errors import UnsupportedInWorkerError, WorkerProtocolError
from ...events import Event, is_logged, tell
from ...pipeline import approve
from ...reference import parse_source
from ...worker.download import bring
from ...worker.values import checked_keys, checked_text
from . import models as models  # fills the table of proxies
from .pool import Home, Worker, loaded_in, worker_of
from .saving import approved_hashes
from .unsupported import IN_PROCESS

if TYPE_CHECKING:
    from pathlib import Path

    from ...fetch.source import HubOptions
    from ...policy import Policy
    from ...reference import ModuleRef, RepoSource

#: Arguments that no worker needs: it has no network, and these are secrets or say how to reach it.
_KEPT_HERE: Final = ("token", "use_auth_token", "proxies", "force_download", "local_files_only", "cache_dir",
                     "resume_download", "_commit_hash")  # fmt: skip
_KINDS: Final = ("config", "model", "tokenizer", "processor")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The class `reference` (as `auto_map` spells it, seen from `home.weights`), and its code's commit."""

    home: Home
    reference: str
    options: dict[str, Any] = field(repr=False)


def remote_class(
    ref: ModuleRef, reference: str, weights: RepoSource, *, policy: Policy, lockfile: Path, options: HubOptions
) -> type:
    """A class for `ref` whose constructors load it in a worker.

    Raises:
        RefusedError, FetchError, DocumentError: as in process. SandboxUnavailableError, WorkerError: no worker.
        UnsupportedInWorkerError: it is no configuration, model, tokenizer or processor.
    """
    admitted, commit = approve(ref, policy=policy, lockfile=lockfile, options=options)
    cache = None if options.cache_dir is None else os.path.abspath(options.cache_dir)
    home = Home(code=ref.source, weights=weights, policy=policy, lockfile=lockfile.absolute(), hub_cache=cache,
                digest=admitted.verified.package_digest)  # fmt: skip
    settings = {"repo_type": ref.source.repo_type, "code_revision": commit, "cache_dir": cache}
    origin = Origin(home=home, reference=reference, options=settings)
    answer = worker_of(home).ask("describe", _named(origin), loading=True)
    kind, name = (checked_text(item, 200) for item in checked_keys(answer, "kind", "class"))
    if kind not in _KINDS:
        raise UnsupportedInWorkerError(f"{reference} is neither configuration, model, tokenizer nor processor",
                                       subject=str(ref.source), remedy=IN_PROCESS)  # fmt: skip
    base = {"config": RemoteConfigClass, "model": RemoteModelClass}.get(kind, RemotePreprocessorClass)
    if not name.isidentifier():
        raise WorkerProtocolError("not the name of a class")
    if is_logged():
        tell(Event(event="loaded", source=admitted.source, digest=home.digest, name=f"{ref.path}:{ref.class_name}",
                   message="in a worker"))  # fmt: skip
    return type(name, (base,), {"_origin": origin, "__module__": __name__})


def _named(origin: Origin) -> dict[str, Any]:
    return {"reference": origin.reference, "code": origin.home.weights.location, "options": origin.options}


class _RemoteClass:
    """Constructors shared by all kinds."""

    _origin: Origin
    _auto_class: str | None = None

    @classmethod
    def register_for_auto_class(cls, auto_class: Any = "") -> None:
        """Remember under which Auto class the worker is to register the repository's class; empty: its own choice."""
        cls._auto_class = auto_class if isinstance(auto_class, str) else auto_class.__name__

    @classmethod
    def _worker(cls, location: Any, settings: dict[str, Any], *, weights: bool) -> tuple[Worker, str, dict[str, Any]]:
        """The worker for `location`, how that is called there, and the arguments that it is given."""
        source = parse_source(location)
        home = replace(cls._origin.home, weights=source)
        sent = {name: value for name, value in settings.items() if name not in _KEPT_HERE}
        if source.kind == "hub":
            bring(source.location, settings.get("revision"), settings, weights=weights)
            if home.hub_cache is not None:
                sent["cache_dir"] = home.hub_cache
        worker = worker_of(home)
        worker.approved = approved_hashes(home.lockfile) if home.policy.stands("identity") else None
        return worker, source.location, sent

    @classmethod
    def _load(
        cls, location: Any, method: str, arguments: list[Any], settings: dict[str, Any], config: Any = None
    ) -> Any:
        worker, place, sent = cls._worker(location, settings, weights=method == "from_pretrained")
        body = {
            **_named(cls._origin), "method": method, "settings": sent, "auto_class": cls._auto_class,
            "arguments": arguments if method == "_from_config" else [place, *arguments],
            "config": config, "config_reference": _config_reference(config),
        }  # fmt: skip
        loaded = worker.ask("load", body, loading=True, random=True)
        loaded_in(worker)
        return loaded


def _config_reference(config: Any) -> str | None:
    auto_map = getattr(config, "auto_map", None)
    reference = auto_map.get("AutoConfig") if isinstance(auto_map, dict) else None
    return reference if isinstance(reference, str) else None


class RemoteConfigClass(_RemoteClass):
    """A configuration class of a repository."""

    @classmethod
    def from_pretrained(cls, location: Any, **settings: Any) -> Any:
        """A plain configuration with the values that the repository's class computes from config.json."""
        from transformers import PretrainedConfig

        wants_unused = bool(settings.pop("return_unused_kwargs", False))
        worker, place, sent = cls._worker(location, settings, weights=False)
        answer = worker.ask("config", {**_named(cls._origin), "location": place, "settings": sent}, loading=True)
        config, unused = checked_keys(answer, "config", "unused")
        if not isinstance(config, PretrainedConfig) or type(unused) is not list:
            raise WorkerProtocolError("not a configuration")
        values, _ = PretrainedConfig.get_config_dict(location, **_read_settings(settings))
        config._name_or_path = str(location)
        if isinstance(values.get("auto_map"), dict):
            config.auto_map = values["auto_map"]  # from the file and not from the worker: it names code
        left = {name: settings[name] for name in settings if name in unused or name in _KEPT_HERE}
        return (config, left) if wants_unused else config


def _read_settings(settings: dict[str, Any]) -> dict[str, Any]:
    names = ("cache_dir", "revision", "token", "local_files_only", "subfolder", "_commit_hash")
    return {name: settings[name] for name in names if name in settings}


class RemoteModelClass(_RemoteClass):
    """A model class of a repository."""

    @classmethod
    def from_pretrained(cls, location: Any, *arguments: Any, config: Any = None, **settings: Any) -> Any:
        """The model with its weights, in a worker."""
        return cls._load(location, "from_pretrained", list(arguments), settings, config)

    @classmethod
    def _from_config(cls, config: Any, **settings: Any) -> Any:
        """A model with new weights, in a worker; they are drawn from the random state of this process."""
        return cls._load(config._name_or_path, "_from_config", [], settings, config)

    from_config = _from_config


class RemotePreprocessorClass(_RemoteClass):
    """A tokenizer or processor class of a repository."""

    @classmethod
    def from_pretrained(cls, location: Any, *arguments: Any, **settings: Any) -> Any:
        """The tokenizer or processor, in a worker."""
        return cls._load(location, "from_pretrained", list(arguments), settings, settings.pop("config", None))
