"""What a Python program with torch needs to read, and the devices that everything expects.

Rules: only places that hold no secret by convention; from `/etc`, single files by name. A path that does not exist
grants nothing.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from typing import Final

_LIBRARIES: Final = (
    "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/local/lib", "/nix/store",
)  # fmt: skip
_SHARED: Final = (
    "/usr/share/zoneinfo", "/usr/share/locale", "/usr/share/i18n", "/usr/share/terminfo", "/usr/share/mime",
    "/usr/share/ca-certificates", "/usr/share/pyshared", "/usr/local/share/ca-certificates",
)  # fmt: skip
_ETC: Final = (
    "/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/localtime", "/etc/timezone", "/etc/locale.alias", "/etc/os-release",
    "/etc/nsswitch.conf", "/etc/hosts", "/etc/host.conf", "/etc/resolv.conf", "/etc/gai.conf", "/etc/protocols",
    "/etc/services", "/etc/passwd", "/etc/group", "/etc/mime.types", "/etc/ssl/certs", "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted", "/etc/ca-certificates", "/etc/alternatives",
)  # fmt: skip
#: What is about the machine. The folder of each process is Landlock's ptrace rule: environment, memory and
#: descriptors of a process outside cannot be had, whatever is readable here.
_PROC: Final = (
    "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/uptime", "/proc/loadavg", "/proc/version",
    "/proc/filesystems", "/proc/vmstat", "/proc/sys/kernel", "/proc/sys/vm", "/proc/sys/fs", "/proc/sys/net/core",
)  # fmt: skip
#: The hardware: processors, memory nodes, and (gloo chooses by distance) PCI and network devices.
_SYS: Final = (
    "/sys/devices", "/sys/fs/cgroup", "/sys/kernel/mm/transparent_hugepage", "/sys/bus/pci/devices", "/sys/class/net",
)  # fmt: skip
_RANDOM: Final = ("/dev/urandom", "/dev/random", "/dev/zero")
_SINKS: Final = ("/dev/null", "/dev/full")
_CUDA_READ: Final = (
    "/proc/driver/nvidia", "/proc/driver/nvidia-uvm", "/proc/devices", "/proc/modules", "/sys/bus/pci",
    "/sys/module", "/sys/class", "/usr/local/cuda", "/usr/share/nvidia", "/etc/nvidia", "/etc/OpenCL", "/opt/nvidia",
    "/run/nvidia-persistenced", "/run/nvidia-ctk-hook",
)  # fmt: skip
_CONFIGURATION: Final = "pyvenv.cfg"


def interpreter_paths(*, all_processes: bool = False, path: Iterable[str] | None = None) -> tuple[str, ...]:
    """What to put into `Confinement.read` for this interpreter: its libraries and the system's.

    `all_processes` adds the whole of `/proc`: a program that starts processes needs it, because each has a folder of
    its own. Command lines of other processes can then be read; their environment, memory and files cannot.
    `path` is the module search path (by default that of this process, without the folder of its main script). Left out
    are relative entries, and folders that hold the user's home.
    """
    python = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    python |= {os.path.join(prefix, _CONFIGURATION) for prefix in (sys.prefix, sys.base_prefix)}
    python |= {os.path.join(prefix, folder) for prefix in (sys.prefix, sys.base_prefix) for folder in ("lib", "lib64")}
    python |= {sys.executable, getattr(sys, "_base_executable", sys.executable)}
    searched = _own_path() if path is None else path
    entries = [entry for entry in searched if os.path.isabs(entry) and not holds_home(entry)]
    return _existing([*python, *entries, *system_paths(all_processes=all_processes)])


def system_paths(*, all_processes: bool) -> tuple[str, ...]:
    """What every Python needs of the system; `all_processes` as in `interpreter_paths`."""
    proc = ("/proc",) if all_processes else _PROC
    return _existing([*_LIBRARIES, *_SHARED, *_ETC, *proc, *_SYS, *_RANDOM])


def _own_path() -> list[str]:
    """The module path without the folder of the program, which holds what is nobody's business."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if sys.flags.safe_path or script is None or sys.modules["__main__"].__spec__ is not None:
        return sys.path if sys.flags.safe_path else sys.path[1:]
    home = os.path.dirname(os.path.realpath(script))  # not by position: something may have been put before it
    return [entry for entry in sys.path if os.path.realpath(entry) != home]


def holds_home(folder: str) -> bool:
    """Whether `folder` is the user's home, or one above it: to grant it would grant keys and tokens."""
    home, real = os.path.realpath(os.path.expanduser("~")), os.path.realpath(folder)
    return os.path.commonpath([home, real]) == real


def program_paths(executable: str) -> tuple[str, ...]:
    """What to put into `Confinement.execute` to start `executable`: itself, through all links, and the loader."""
    loaders = [
        os.path.join(folder, name)
        for folder in ("/lib64", "/lib", "/usr/lib64", "/usr/lib", "/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu")
        if os.path.isdir(folder)
        for name in ("ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "ld-musl-x86_64.so.1", "ld-musl-aarch64.so.1")
    ]
    return _existing([executable, *loaders])


def standard_devices() -> tuple[str, ...]:
    """`/dev/null` and the like: to be written without harm."""
    return _existing(_SINKS)


def cuda_devices() -> tuple[str, ...]:
    """The device files of NVIDIA GPUs, as they are now; none, if the driver is not loaded."""
    names = (name for name in os.listdir("/dev") if name.startswith("nvidia"))
    return _existing(sorted(f"/dev/{name}" for name in names))


def cuda_paths() -> tuple[str, ...]:
    """What to read besides, when a GPU is granted."""
    return _existing(_CUDA_READ)


def cleaned_environment(names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of `environment` that `names` lists; for a process that is to be started."""
    return {name: environment[name] for name in names if name in environment}


def _existing(paths: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({os.path.realpath(path) for path in paths if path and os.path.exists(path)}))
