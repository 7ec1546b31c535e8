"""What each audit event needs: the capability that the package must have been granted, or nothing.

Reads of Python's own files, of files that the package may read, and writes below folders that the user
saves to need none.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from ..guard.armour.threads import RemoteThread
from ..places import PYTHON_FOLDERS
from .audited import (
    CODE,
    COPIES,
    ENVIRONMENT,
    LISTINGS,
    MOVES,
    NATIVE,
    NETWORK,
    PROCESS,
    WRITES,
    changed_path,
    opens_for_writing,
    path_of,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..guard.context import PackageContext

    Rule = Callable[[PackageContext, tuple[object, ...]], str | None]

_SAFE_PICKLE_MODULES: Final = ("collections", "torch", "torch._utils", "torch._tensor", "torch.storage",
                               "torch.nn.parameter", "numpy", "numpy.dtype",
                               "numpy._core.multiarray", "numpy.core.multiarray")  # fmt: skip
_SAFE_PICKLE_NAMES: Final = frozenset(
    ["OrderedDict", "Tensor", "Size", "device", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_tensor",
     "Parameter", "_reconstruct", "ndarray", "dtype", "scalar", "UntypedStorage", "TypedStorage"]
)  # fmt: skip
#: What libraries ask of the machine on the way; the process id in `/proc` does not matter.
_HARMLESS_FILE: Final = re.compile(r"/dev/(null|urandom)|/proc/(cpuinfo|meminfo|\d+/(mounts|status|cgroup|stat))")


def _open(context: PackageContext, arguments: tuple[object, ...]) -> str | None:
    path = path_of(arguments[0])
    if path is None:
        return None if isinstance(arguments[0], int) else "file-read"  # a descriptor is open already
    if opens_for_writing(arguments):
        return None if context.may_write(path) or path == "/dev/null" else "file-write"
    if _HARMLESS_FILE.fullmatch(path) or path.startswith(PYTHON_FOLDERS):
        return None
    return None if context.may_read(path) else "file-read"


def _write(context: PackageContext, arguments: tuple[object, ...]) -> str | None:
    path = path_of(arguments[0]) if arguments else None
    return None if path is not None and context.may_write(path) else "file-write"


def _write_of(event: str) -> Rule:
    return lambda context, arguments: _write(context, (changed_path(event, arguments),))


def _mkdir(context: PackageContext, arguments: tuple[object, ...]) -> str | None:
    path = changed_path("os.mkdir", arguments)
    # Of a folder that is there it changes nothing: `Path.mkdir(exist_ok=True)`.
    return None if path is not None and (context.may_make(path) or os.path.isdir(path)) else "file-write"


def _move(context: PackageContext, arguments: tuple[object, ...]) -> str | None:
    return _write(context, arguments[:1]) or _write(context, arguments[1:2])


def _copy(context: PackageContext, arguments: tuple[object, ...]) -> str | None:
    return _open(context, arguments[:1]) or _write(context, arguments[1:2])


def _listing(context: PackageContext, arguments: tuple[object, ...]) -> str | None:
    path = path_of(arguments[0]) if arguments and arguments[0] is not None else os.getcwd()
    if path is None or f"{path}/".startswith(PYTHON_FOLDERS):
        return None
    return None if context.may_read(path) else "file-read"


def _unpickle(context: PackageContext, arguments: tuple[object, ...]) -> str | None:
    module, name = str(arguments[0]), str(arguments[1])
    safe = module in _SAFE_PICKLE_MODULES and (name in _SAFE_PICKLE_NAMES or name.endswith("Storage"))
    return None if safe else "deserialise"


def _started_thread(context: PackageContext, arguments: tuple[object, ...]) -> str | None:
    """A thread that `threading` made knows whose it is; another one would be nobody's."""
    return None if type(arguments[0]) is RemoteThread else "introspection"


def _always(capability: str) -> Rule:
    return lambda context, arguments: capability


RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(PROCESS, _always("process")),
    **dict.fromkeys(NETWORK, _always("network")),
    **dict.fromkeys(NATIVE, _always("native-code")),
    **dict.fromkeys(CODE, _always("introspection")),
    **dict.fromkeys(ENVIRONMENT, _always("environment")),
    **{event: _write_of(event) for event in WRITES},
    **dict.fromkeys(MOVES, _move),
    **dict.fromkeys(COPIES, _copy),
    **dict.fromkeys(LISTINGS, _listing),
    "os.mkdir": _mkdir,
    "open": _open,
    "pickle.find_class": _unpickle,
    "_thread.start_new_thread": _started_thread,
    "_thread.start_joinable_thread": _started_thread,
}
