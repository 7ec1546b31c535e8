"""What changed between a pinned package and the code that is there now: capabilities, entry points, source."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from rich.text import Text

from ..errors import RemoteCodeError
from ..fetch import open_source
from ..limits import MAX_FILE_BYTES
from ..report.visible import visible, visible_lines
from ..snapshot import sha256_hex
from .pinstore import kept

if TYPE_CHECKING:
    from ..fetch import Source
    from ..fetch.source import HubOptions
    from ..lockfile import LockedPackage
    from ..snapshot import Snapshot

_STYLES: Final = {"+": "green", "-": "red", "@": "cyan"}


def changed_paths(old: LockedPackage, new: LockedPackage) -> list[str]:
    """Paths that were added, removed, or hold other bytes, sorted."""
    return sorted(path for path in {*old.files, *new.files} if old.files.get(path) != new.files.get(path))


def difference(old: LockedPackage, new: LockedPackage) -> str:
    """`changed a.py; added b.py`, in one line."""
    kinds: dict[str, list[str]] = {}
    for path in changed_paths(old, new):
        kind = "added" if path not in old.files else "removed" if path not in new.files else "changed"
        kinds.setdefault(kind, []).append(path)
    return "; ".join(f"{kind} {', '.join(paths)}" for kind, paths in kinds.items())


def change_lines(
    old: LockedPackage, new: LockedPackage, code: Snapshot, source: Source, options: HubOptions
) -> Iterator[Text]:
    """Everything that a person must see before approving `new` in place of `old`."""
    yield Text(visible(f"  change since the pin: {difference(old, new) or 'none in the code'}"))
    if old.commit != new.commit:
        yield Text(f"  commit: {old.commit} -> {new.commit}")
    yield from _sets("capabilities", old.capabilities, new.capabilities)
    yield from _sets("entry points", old.entry_points, new.entry_points)
    before = _PinnedText(old, source, options)
    for path in changed_paths(old, new):
        yield from _file_diff(path, old, code, before)


def _sets(what: str, old: Iterable[str], new: Iterable[str]) -> Iterator[Text]:
    gained, lost = sorted({*new} - {*old}), sorted({*old} - {*new})
    for name in gained:
        yield Text(visible(f"  {what}: + {name}"), style="bold yellow")
    for name in lost:
        yield Text(visible(f"  {what}: - {name}"))
    if not gained and not lost:
        yield Text(f"  {what}: as before")


class _PinnedText:
    """The pinned text of a file: from our own store, else from the Hub at the pinned commit; always by hash."""

    def __init__(self, package: LockedPackage, source: Source, options: HubOptions) -> None:
        self._package = package
        self._at_commit = None
        if source.repo.kind == "hub" and package.commit is not None:
            self._at_commit = open_source(source.repo, package.commit, options)

    def read(self, path: str) -> str | None:
        wanted = self._package.files.get(path)
        if wanted is None:
            return ""
        data = kept(wanted)
        if data is None and self._at_commit is not None:
            try:
                data = self._at_commit.read(path, MAX_FILE_BYTES)
            except RemoteCodeError:
                return None
        return data.decode("utf-8", "replace") if data is not None and sha256_hex(data) == wanted else None


def _file_diff(path: str, old: LockedPackage, code: Snapshot, before: _PinnedText) -> Iterator[Text]:
    pinned = before.read(path)
    if pinned is None:
        yield Text(visible(f"  {path}: the pinned text is not at hand, so read the whole file"), style="bold yellow")
        pinned = ""
    current = code[path].text if path in code else ""
    names = (f"pinned/{path}" if path in old.files else "/dev/null", f"now/{path}" if path in code else "/dev/null")
    for line in difflib.unified_diff(_lines(pinned), _lines(current), *names, lineterm=""):
        bold = "bold " if line.startswith(("+++", "---")) else ""
        yield Text(line, style=bold + _STYLES.get(line[0], "") if line[0] in _STYLES else "")


def _lines(text: str) -> list[str]:
    """Visible lines; two that differ in hidden characters only still differ."""
    lines = visible_lines(text.replace("\r\n", "\n"))
    return lines[:-1] if lines[-1:] == [""] else lines
