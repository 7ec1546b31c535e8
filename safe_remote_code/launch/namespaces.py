"""Namespaces through bubblewrap, when it is there and the user asks: no network device, no other process in sight.

It only prepares the place: inside, `safe-remote-code run` starts again, and applies Landlock and seccomp there.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence


def find_bubblewrap(search: str) -> str | None:
    """The bwrap program on the search path `search`."""
    return shutil.which("bwrap", path=search)


def namespace_command(bubblewrap: str, inner: Sequence[str], *, network: bool) -> list[str]:
    """The command line that runs `inner` in namespaces of its own (bwrap(1)); `network` leaves it this network."""
    return [
        bubblewrap,
        *("--unshare-user-try", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *(() if network else ("--unshare-net",)),
        *("--bind", "/", "/"),
        *("--dev-bind", "/dev", "/dev", "--tmpfs", "/dev/shm", "--proc", "/proc"),
        *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        "--",
        *inner,
    ]
