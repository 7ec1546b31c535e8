"""The closed set of files that some modules need from their own repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import MissingFileError, RefusedError
from ..limits import MAX_FILE_BYTES, MAX_SNAPSHOT_FILES
from ..relative_imports import Wanted, relative_imports
from ..snapshot import Snapshot, SourceFile, snapshot
from ..syntax import parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .source import Source


def _imports(file: SourceFile) -> list[Wanted]:
    try:
        return relative_imports(parse(file.text, file.path), file.path)
    except RefusedError:
        return []  # the analysis refuses this file with the same words; the closure ends here


def _read_first(source: Source, paths: tuple[str, ...]) -> SourceFile | None:
    for path in paths:
        try:
            return SourceFile(path=path, data=source.read(path, MAX_FILE_BYTES))
        except MissingFileError:
            continue
    return None


def fetch(source: Source, roots: Iterable[str]) -> Snapshot:
    """The snapshot of the files `roots` and of everything that they import from the repository.

    Raises:
        MissingFileError: a root, or a file that is imported, is not there.
        FetchError: the source failed; trying again may help.
        RefusedError: a file is not acceptable as it is.
    """
    found: dict[str, SourceFile] = {}
    tried: set[tuple[str, ...]] = set()
    queue = [(Wanted(paths=(path,), required=True), "") for path in roots]
    while queue:
        wanted, importer = queue.pop()
        if wanted.paths in tried:
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
            queue += [(item, file.path) for item in _imports(file)]
    return snapshot(found.values())
