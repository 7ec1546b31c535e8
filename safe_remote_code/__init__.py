"""safe_remote_code: what you use instead of answering `trust_remote_code=True`.

Remote model code is pinned by hash, held to an allowlist, compiled under a guard and watched while
it runs; then the class goes the ordinary `from_pretrained` way. Importing this package imports
neither torch nor transformers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import DocumentError, FetchError, GuardViolationError, RefusedError, RemoteCodeError
    from .integrations.dynamic_module import get_class_from_dynamic_module
    from .integrations.transformers_patch import install, installed, uninstall
    from .policy import Policy, load_policy
    from .refusal_log import refusals

__version__ = "0.1.0"

# No module here may have the name of a public object: importing it would put it in the object's place.
_HOMES = {
    "DocumentError": "errors",
    "FetchError": "errors",
    "GuardViolationError": "errors",
    "Policy": "policy",
    "RefusedError": "errors",
    "RemoteCodeError": "errors",
    "get_class_from_dynamic_module": "integrations.dynamic_module",
    "install": "integrations.transformers_patch",
    "installed": "integrations.transformers_patch",
    "load_policy": "policy",
    "refusals": "refusal_log",
    "uninstall": "integrations.transformers_patch",
}

__all__ = [
    "DocumentError",
    "FetchError",
    "GuardViolationError",
    "Policy",
    "RefusedError",
    "RemoteCodeError",
    "get_class_from_dynamic_module",
    "install",
    "installed",
    "load_policy",
    "refusals",
    "uninstall",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
