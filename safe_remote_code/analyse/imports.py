"""Which files of a repository run whenever its code is imported.

A file that others import only inside a function or a `try` may never run: real repositories keep their Triton
kernels so. What it does at its top is then conditional. This decides between refusing early and leaving it to
the guard, never whether something is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .walk import FileWalk


def surely_imported(walks: Mapping[str, FileWalk]) -> frozenset[str]:
    """Paths that nobody imports (entry points among them), and what they import unconditionally."""
    imported = {path for walk in walks.values() for path, _ in _edges(walk, walks)}
    pending = [path for path in walks if path not in imported] or list(walks)
    sure: set[str] = set()
    while pending:
        path = pending.pop()
        if path not in sure:
            sure.add(path)
            pending += [target for target, certain in _edges(walks[path], walks) if certain]
    return frozenset(sure)


def _edges(walk: FileWalk, walks: Mapping[str, FileWalk]) -> Iterator[tuple[str, bool]]:
    for target, when in walk.own_imports:
        for paths in (target.files, target.submodules):
            path = next((path for path in paths if path in walks), None)
            if path is not None and path != walk.path:
                yield path, when == "import"
