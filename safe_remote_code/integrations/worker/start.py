"""What a worker is told before it does anything: how to confine itself, under which policy to load what."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, final

from ...policy import Grant, Policy
from ...sandbox import Confinement


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The first message to a worker; it holds no secret of the parent."""

    confinement: Confinement
    policy: Policy
    lockfile: str
    threads: int
    hub_cache: str | None

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
            "hub_cache": self.hub_cache,
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
            hub_cache=body["hub_cache"],
        )
