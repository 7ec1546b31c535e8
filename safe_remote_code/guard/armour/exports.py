"""Exports: what a saved or exported model names is made again, with what remote code's objects said of themselves."""

from __future__ import annotations

import enum
import functools
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from ..ownership import PACKAGE_PREFIX
from ..refusal import refuse

if TYPE_CHECKING:
    from collections.abc import Callable

#: Where classes may stand that an export makes again: any of the first two, containers of the others.
_MODELS: Final = frozenset(["transformers", PACKAGE_PREFIX.rstrip(".")])
_EXPORTED: Final = _MODELS | {"builtins", "collections", "torch"}
_CONTAINERS: Final = (dict, list, tuple, set, frozenset)


def containers_only(module: Any, real: Callable[..., Any]) -> Callable[..., Any]:
    """`_path_to_class` of transformers' exporter, which makes what an object of remote code says that it holds."""

    @functools.wraps(real)
    def _path_to_class(path: str) -> type:
        top = path.partition(".")[0].partition(":")[0]
        found = real(path) if top in _EXPORTED else None
        if not isinstance(found, type) or (top not in _MODELS and not issubclass(found, _CONTAINERS)):
            refuse(f"{path!r:.60} in the place of a container that an export makes again")
        return found

    return _path_to_class


def members_only(module: Any, real: Callable[..., Any]) -> Callable[..., Any]:
    """`enum_object_hook`, by which a saved export names members of enumerations: of those that are loaded."""

    @functools.wraps(real)
    def enum_object_hook(obj: dict[str, Any]) -> Any:
        if "__enum__" in obj:
            place, _, name = str(obj["fqn"]).partition(":")
            found: Any = sys.modules.get(place)
            for part in name.split("."):
                found = vars(found).get(part) if isinstance(found, type | ModuleType) else None
            if not (isinstance(found, type) and issubclass(found, enum.Enum)):
                refuse(f"{obj['fqn']!r:.60} in the place of an enumeration")
        return real(obj)

    return enum_object_hook


#: What is put before which function.
FUNCTIONS: Final = {
    "torch.utils._pytree.enum_object_hook": members_only,
    "transformers.exporters.exporter_dynamo._path_to_class": containers_only,
}
