"""What is not cleared, and the smallest review that would clear it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, final

from ..report.review import size_of_change

if TYPE_CHECKING:
    from ..audits.clearing import Ledger
    from ..lockfile import LockedPackage
    from ..snapshot import Snapshot
    from .texts import Texts
    from .workbench import Workbench


#: Reviewed contents that are compared line by line, those with the most in common first; each takes milliseconds.
_MAX_COMPARED: Final = 40


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """`package` is not cleared. A review of `lines` lines would do: all of it, or the change from `base`.

    `code` is None if its text is not at hand; then nobody can say how long the review is.
    """

    package: LockedPackage
    code: Snapshot | None = field(repr=False)
    base: Snapshot | None = field(repr=False)
    lines: int | None

    def commands(self, bench: Workbench) -> tuple[str, str]:
        """The command that shows the review, and the one that records it."""
        since = ("--from", self.base.digest) if self.base is not None else ()
        by = ("--key", "KEY") * bench.store.signatures or ("--who", "NAME")
        return bench.command("review", self.package, *since), bench.command("certify", self.package, *since, *by)


def opening(package: LockedPackage, book: Ledger, texts: Texts, code: Snapshot | None = None) -> Opening:
    """The smallest review that would clear `package`; a change of as many lines as the whole is read as a whole."""
    code = code or texts.snapshot(package.digest)
    if code is None:
        return Opening(package=package, code=None, base=None, lines=None)
    best, lines = None, size_of_change(None, code)
    cleared = sorted(book.cleared_contents() - {package.digest})  # from itself there is nothing to read
    bases = [base for digest in cleared if (base := texts.snapshot(digest)) is not None]
    for base in sorted(bases, key=lambda other: _likeness(other, code), reverse=True)[:_MAX_COMPARED]:
        size = size_of_change(base, code)
        if size < lines:
            best, lines = base, size
    return Opening(package=package, code=code, base=best, lines=lines)


def _likeness(one: Snapshot, other: Snapshot) -> tuple[int, int]:
    """Files of the same content, and paths that both have."""
    mine, theirs = one.manifest, other.manifest
    return len(set(mine.values()) & set(theirs.values())), len(mine.keys() & theirs.keys())
