"""Environment, interpreter, import and reflection functions, as remote code sees them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
import types
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, final

from ..armour.memory import armour
from ..context import exact_path
from ..ownership import Sealed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..context import PackageContext

#: Variables that steer numerics or parallelism and say nothing about the user.
_VISIBLE_VARIABLES: Final = frozenset(
    ["RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES",
     "TOKENIZERS_PARALLELISM", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_JIT", "TRANSFORMERS_VERBOSITY"]
)  # fmt: skip


class _Namespace(types.SimpleNamespace):
    """`types.SimpleNamespace`, armoured: it takes attributes of any name."""

    def __repr__(self) -> str:
        return types.SimpleNamespace(**vars(self)).__repr__()


armour(_Namespace)


@final
class _Environment(Mapping[str, str], Sealed):
    """`os.environ` with the named variables only; assignments stay with the package."""

    def __init__(self) -> None:
        self._local: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name in self._local:
            return self._local[name]
        if name not in _VISIBLE_VARIABLES:
            raise KeyError(name)
        return os.environ[name]

    def __setitem__(self, name: str, value: str) -> None:
        if type(name) is not str or type(value) is not str:
            raise TypeError("str expected")
        self._local[name] = value

    def setdefault(self, name: str, value: str) -> str:
        """As on a dict."""
        if name not in self:
            self[name] = value
        return self[name]

    def pop(self, name: str, *default: object) -> object:
        """As on a dict, of the package's own variables."""
        return self._local.pop(name, *default)

    def __iter__(self) -> Iterator[str]:
        return iter({*self._local, *(_VISIBLE_VARIABLES & set(os.environ))})

    def __len__(self) -> int:
        return sum(1 for _ in self)


@final
class _Stream(Sealed):
    """`sys.stdout` or `sys.stderr`: text out, and nothing else of the real stream."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def write(self, text: str) -> int:
        """As on a text stream."""
        return int(getattr(sys, self._name).write(text))

    def flush(self) -> None:
        """As on a text stream."""
        getattr(sys, self._name).flush()

    def isatty(self) -> bool:
        """As on a text stream."""
        return bool(getattr(sys, self._name).isatty())


def _basic_config(**keywords: object) -> None:
    """Only a level; handlers, files and `force` would change the logging of the whole process."""


def _version(name: str) -> str:
    return importlib.metadata.version(str(name))


def _find_spec(name: str, package: str | None = None) -> object:
    """Whether a top-level package is there; the answer is a bare marker, not a spec with a loader."""
    if type(name) is not str or name.startswith("."):
        return None
    return types.SimpleNamespace(name=name) if importlib.util.find_spec(name.partition(".")[0]) else None


def _package_available(pkg_name: str, return_version: bool = False) -> object:
    """`transformers.utils.import_utils._is_package_available`, which imports a package to ask for its version."""
    known = type(pkg_name) is str and pkg_name.isidentifier() and importlib.util.find_spec(pkg_name) is not None
    found = sys.modules["transformers.utils.import_utils"]._is_package_available(pkg_name if known else "")
    if not return_version:
        return found
    try:
        return known, importlib.metadata.version(pkg_name) if known else "N/A"
    except importlib.metadata.PackageNotFoundError:
        return known, "N/A"


def _unexpanded(path: object) -> str:
    """`os.path.expanduser` for code that may not read there: the home folder's name is the user's."""
    return exact_path(path)


def replacements(context: PackageContext, import_module: Callable[[str, str | None], object]) -> dict[str, object]:
    """System functions by dotted name."""
    environment = _Environment()

    def loaded(name: str) -> object:
        if name not in sys.modules:
            raise KeyError(name)
        return import_module(name, None)

    return {
        "types.SimpleNamespace": _Namespace,
        "os.environ": environment,
        "os.path.expanduser": _unexpanded,
        "posixpath.expanduser": _unexpanded,
        "os.getenv": environment.get,
        "os.putenv": environment.__setitem__,
        "sys.stdout": _Stream("stdout"),
        "sys.stderr": _Stream("stderr"),
        "sys.path": list(sys.path),
        "sys.modules": _Modules(loaded),
        "importlib.util.find_spec": _find_spec,
        "transformers.utils.import_utils._is_package_available": _package_available,
        "importlib.metadata.version": _version,
        "importlib_metadata.version": _version,
        "logging.basicConfig": _basic_config,
    }


@final
class _Modules(Mapping[str, object], Sealed):
    """`sys.modules`, whose values are the views that an import would give."""

    def __init__(self, load: Callable[[str], object]) -> None:
        self._load = load

    def __getitem__(self, name: str) -> object:
        return self._load(name)

    def __contains__(self, name: object) -> bool:
        return name in sys.modules

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
