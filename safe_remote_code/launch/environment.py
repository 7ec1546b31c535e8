"""The environment of a program under the launcher: an allowlist of names, and what the guard needs to know.

Guarantee: a variable is there because `policies/environment.toml` or the user names it, or because the launcher set it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ..documents import parse_toml, read_bytes
from ..shipped import shipped_path

if TYPE_CHECKING:
    from .grants import Wishes

#: Read by the `.pth` of the wheel: with it, every interpreter installs the guard.
GUARD_POLICY: Final = "SAFE_REMOTE_CODE_POLICY"
GUARD_LOCKFILE: Final = "SAFE_REMOTE_CODE_LOCKFILE"


@lru_cache(maxsize=1)
def _patterns() -> tuple[str, ...]:
    path = shipped_path("environment.toml")
    root = parse_toml(read_bytes(path), str(path))
    names: list[str] = []
    for table in root.tables("variable"):
        names += table.texts("names", None)
        if not table.text("why").strip():
            raise table.error("why", "an entry says why")
        table.done()
    root.done()
    return tuple(names)


def kept_names(environment: Mapping[str, str], extra: Iterable[str]) -> tuple[str, ...]:
    """Names of `environment` that the list or the user keeps."""
    patterns = (*_patterns(), *extra)
    return tuple(sorted(name for name in environment if any(fnmatchcase(name, pattern) for pattern in patterns)))


def added(wishes: Wishes, folder: str) -> dict[str, str]:
    """What the launcher sets: the guard, and caches in the run's own temporary `folder`."""
    policy = wishes.policy
    named_by_path = policy.endswith(".toml") or os.sep in policy
    return {
        GUARD_POLICY: os.path.abspath(policy) if named_by_path else policy,
        GUARD_LOCKFILE: os.path.abspath(wishes.lockfile),
        "TMPDIR": folder,
        "HF_MODULES_CACHE": f"{folder}/modules",
        "TRITON_CACHE_DIR": f"{folder}/triton",
        "MPLCONFIGDIR": f"{folder}/matplotlib",
        # Without a network, the Hub's client would try and wait before it looks into its cache. With one, names are
        # looked up over TCP (resolv.conf(5)), because the kernel cannot hold UDP.
        **({"RES_OPTIONS": "use-vc"} if wishes.connect else {"HF_HUB_OFFLINE": "1"}),
    }
