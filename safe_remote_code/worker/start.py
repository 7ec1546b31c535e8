"""What a worker is told before it does anything: how to confine itself, under which policy to load what."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, final

from ..fetch.local import allowed_roots
from ..policy import Grant, Policy
from ..reference import RepoSource
from ..sandbox import Confinement, cuda_devices, cuda_paths, interpreter_paths, standard_devices
from ..shipped import shipped_path

_OPEN_FILES: Final = 1024


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The first message to a worker; it holds no secret of the parent."""

    confinement: Confinement
    policy: Policy
    lockfile: str
    threads: int

    def body(self) -> dict[str, object]:
        """As plain values."""
        policy = self.policy
        return {
            "confinement": {**asdict(self.confinement), "required": sorted(self.confinement.required)},
            "policy": {
                "name": policy.name, "allow": policy.allow, "deny": policy.deny, "pinning": policy.pinning,
                "deferred": policy.deferred, "unsafe_disable": sorted(policy.unsafe_disable),
                "grants": [asdict(grant) for grant in policy.grants],
            },
            "lockfile": self.lockfile,
            "threads": self.threads,
        }  # fmt: skip

    @classmethod
    def read(cls, body: dict[str, Any]) -> Start:
        """The message that `body` made. In the child there is no further worker: the walls stand in process."""
        confinement, policy = dict(body["confinement"]), dict(body["policy"])
        confinement["required"] = frozenset(confinement["required"])
        policy["grants"] = tuple(Grant(**grant) for grant in policy["grants"])
        policy["unsafe_disable"] = frozenset(policy["unsafe_disable"])
        return cls(
            confinement=Confinement(**confinement),
            policy=replace(Policy(**policy), execution="in-process"),
            lockfile=str(Path(body["lockfile"])),
            threads=body["threads"],
        )


def confinement(
    readable: Iterable[str], writable: Iterable[Path], *, memory_bytes: int = 0, cuda: bool = False
) -> Confinement:
    """What a worker may do: read Python, its libraries, this package and `readable`; write its own folders; no more."""
    package = Path(__file__).resolve().parents[1]
    paths = [*interpreter_paths(), *(cuda_paths() if cuda else ()), str(package), str(shipped_path("").resolve())]
    # Our own folder in /proc came by that name; the child's own is meant.
    own = f"/proc/{os.getpid()}"
    existing = (path for path in (*paths, *readable) if os.path.exists(path))
    return Confinement(
        read=tuple(dict.fromkeys("/proc/self" if path == own else path for path in existing)),
        write=tuple(str(path) for path in writable),
        devices=(*standard_devices(), *(cuda_devices() if cuda else ())),
        open_files=_OPEN_FILES,
        memory=memory_bytes or None,
    )


def hub_environment(hub_cache: str | None) -> dict[str, str]:
    """Where a worker finds the Hub cache, which it may only read."""
    from huggingface_hub import constants

    return {"HF_HUB_CACHE": hub_cache or constants.HF_HUB_CACHE}


def repository_roots(source: RepoSource, hub_cache: str | None) -> tuple[str, ...]:
    """Where the files of `source` lie: its directory, or its folder in the Hub cache."""
    if source.kind == "local":
        return allowed_roots(source.location)
    from huggingface_hub import constants

    name = "--".join([f"{source.repo_type}s", *source.location.split("/")])
    return (os.path.join(hub_cache or constants.HF_HUB_CACHE, name),)
