"""The kernel as the boundary: Landlock, seccomp, limits and no_new_privs, without root.

`apply(Confinement(...))` confines the calling thread and everything that it starts, for good, and returns what is
enforced; a requirement that the kernel cannot meet raises `SandboxUnavailableError`. Linux on x86-64 and aarch64.
"""

from __future__ import annotations

from ..errors import SandboxUnavailableError
from .apply import apply
from .confinement import ANY_PORT, MECHANISMS, REQUIRED, Confinement, Mechanism
from .kernel import PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, prctl
from .paths import (
    cleaned_environment,
    cuda_devices,
    cuda_paths,
    holds_home,
    interpreter_paths,
    program_paths,
    standard_devices,
    system_paths,
)
from .status import MechanismStatus, SandboxStatus

__all__ = [
    "ANY_PORT",
    "MECHANISMS",
    "PR_SET_CHILD_SUBREAPER",
    "PR_SET_PDEATHSIG",
    "REQUIRED",
    "Confinement",
    "Mechanism",
    "MechanismStatus",
    "SandboxStatus",
    "SandboxUnavailableError",
    "apply",
    "cleaned_environment",
    "cuda_devices",
    "cuda_paths",
    "holds_home",
    "interpreter_paths",
    "prctl",
    "program_paths",
    "standard_devices",
    "system_paths",
]
