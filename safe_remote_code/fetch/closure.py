"""The closed set of files that some modules need from their own repository."""

from __future__ import annotations

import posixpath
from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..errors import MissingFileError, RefusedError
from ..limits import MAX_FILE_BYTES, MAX_SNAPSHOT_FILES
from ..relative_imports import Wanted, imports_of
from ..snapshot import Snapshot, SourceFile, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .source import Source


def _imports(file: SourceFile) -> tuple[Wanted, ...]:
    try:
        return imports_of(file.text, file.path)
    except RefusedError:
        return ()  # the analysis refuses this file with the same words; the closure ends here


def _read_first(source: Source, paths: tuple[str, ...]) -> SourceFile | None:
    for path in paths:
        try:
            return SourceFile(path=path, data=source.read(path, MAX_FILE_BYTES))
        except MissingFileError:
            continue
    return None


def _is_attribute(wanted: Wanted, found: dict[str, SourceFile]) -> bool:
    """Whether `from .module import name` can only mean an attribute: `module.py` is no package, so holds no file.

    Not asking saves a request to the Hub for each name, and is all that works offline.
    """
    return not wanted.required and f"{posixpath.dirname(wanted.paths[0])}.py" in found


def fetch(source: Source, roots: Iterable[str], offered: Mapping[str, str] = MappingProxyType({})) -> Snapshot:
    """The snapshot of the files `roots` and of everything that they import from the repository.

    `offered` are roots that JSON names, each with its place there: one that the repository does not hold is left out.

    Raises:
        MissingFileError: a root, or a file that is imported, is not there; or nothing is, of all that is offered.
        FetchError: the source failed; trying again may help.
        RefusedError: a file is not acceptable as it is.
    """
    found: dict[str, SourceFile] = {}
    tried: set[tuple[str, ...]] = set()
    # First in, first out: a module is read before the names that are taken from it.
    queue = deque((Wanted(paths=(path,), required=True), "") for path in roots)
    queue.extend((Wanted(paths=(path,), required=False), "") for path in offered)
    while queue:
        wanted, importer = queue.popleft()
        if wanted.paths in tried or (importer and _is_attribute(wanted, found)):
            continue
        tried.add(wanted.paths)
        if any(path in found for path in wanted.paths):
            continue
        file = _read_first(source, wanted.paths)
        if file is None and wanted.required:
            by = f", which {importer} imports" if importer else ""
            raise MissingFileError(f"no file {' or '.join(wanted.paths)}{by}", subject=str(source.repo))
        if file is not None:
            found[file.path] = file
            if len(found) > MAX_SNAPSHOT_FILES:
                raise RefusedError(f"imports more than {MAX_SNAPSHOT_FILES} files", subject=str(source.repo))
            queue.extend((item, file.path) for item in _imports(file))
    if offered and not found:
        missing = "; ".join(f"no file {path}, which {place} names" for path, place in sorted(offered.items()))
        raise MissingFileError(missing, subject=str(source.repo))
    return snapshot(found.values())
