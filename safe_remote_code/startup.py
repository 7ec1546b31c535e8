"""What the `.pth` of the wheel calls when the environment asks: the guard in this interpreter, when it is needed.

Guarantee: after `start()`, whoever imports transformers finds our loader in the place of its own, before any other
code can have called it. Nothing heavy is imported before that.

It does not hold in an interpreter started with `-S`, which reads no `.pth`; nor against native code. The kernel does.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Final, final

_POLICY: Final = "SAFE_REMOTE_CODE_POLICY"
_LOCKFILE: Final = "SAFE_REMOTE_CODE_LOCKFILE"
_MODULE: Final = "transformers.dynamic_module_utils"


@final
class _Loader(importlib.abc.Loader):
    """The module's own loader, and then `install()`, while the module is still being imported."""

    def __init__(self, loader: importlib.abc.Loader, policy: str, lockfile: str) -> None:
        self._loader = loader
        self._policy = policy
        self._lockfile = lockfile

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        from .integrations.transformers_patch import install

        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        install(self._policy, self._lockfile)


@final
class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, policy: str, lockfile: str) -> None:
        self._policy = policy
        self._lockfile = lockfile

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec that the finders behind this one have, with the loader wrapped."""
        if fullname != _MODULE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        spec.loader = _Loader(spec.loader, self._policy, self._lockfile)
        return spec


def start() -> None:
    """Have the guard installed when transformers is imported, with the policy and lock that the environment names."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(os.environ[_POLICY], os.environ[_LOCKFILE]))
