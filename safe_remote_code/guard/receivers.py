"""The classes that the capability table names as receivers, as far as they are loaded."""

from __future__ import annotations

import sys
from functools import lru_cache


def loaded_classes(dotted: tuple[str, ...]) -> tuple[type, ...]:
    """The classes behind the names `dotted`; a library that is not loaded has no instances."""
    return _loaded_classes(dotted, len(sys.modules))


@lru_cache(maxsize=512)
def _loaded_classes(dotted: tuple[str, ...], _modules: int) -> tuple[type, ...]:
    found = []
    for name in dotted:
        module, _, attribute = name.rpartition(".")
        value = getattr(sys.modules.get(module), attribute, None)
        if isinstance(value, type):
            found.append(value)
    return tuple(found)
