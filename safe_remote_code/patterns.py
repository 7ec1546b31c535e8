"""Dotted-name patterns, the language of grants and of the capability table.

A pattern is a dotted path whose segments are shell globs that do not cross a dot. ``*`` and other
wildcards never match a segment that begins with ``_`` unless the segment of the pattern does.
"""

from __future__ import annotations

import re
from fnmatch import translate
from typing import TYPE_CHECKING, Literal, final

if TYPE_CHECKING:
    from collections.abc import Iterable

Match = Literal["exact", "wildcard"]
_GLOB = re.compile(r"[*?\[]")
PATTERN = re.compile(r"[\w*?\[\]-]+(\.[\w*?\[\]-]+)*", re.ASCII)


@final
class NamePatterns:
    """An immutable set of patterns with two questions: does a name match, may anything below it?"""

    __slots__ = ("_below", "_exact", "_memo", "_prefixes", "_wild")

    def __init__(self, patterns: Iterable[str]) -> None:
        unique = set(patterns)
        self._exact = frozenset(pattern for pattern in unique if not _GLOB.search(pattern))
        self._prefixes = _prefixes(self._exact)
        self._wild: dict[str, list[tuple[str, ...]]] = {}
        for pattern in sorted(unique - self._exact):
            segments = tuple(pattern.split("."))
            self._wild.setdefault("*" if _GLOB.search(segments[0]) else segments[0], []).append(segments)
        self._memo: dict[str, Match | None] = {}
        self._below: dict[str, bool] = {}

    def match(self, name: str) -> Match | None:
        """``exact`` if `name` itself is listed or only leading segments are globs, ``wildcard`` if the last one is."""
        if name in self._exact:
            return "exact"
        if name not in self._memo:
            self._memo[name] = self._match(name.split("."))
        return self._memo[name]

    def _match(self, segments: list[str]) -> Match | None:
        found: Match | None = None
        for pattern in self._candidates(segments[0]):
            if len(pattern) == len(segments) and _fits(pattern, segments):
                if not _GLOB.search(pattern[-1]):
                    return "exact"
                found = "wildcard"
        return found

    def covers_below(self, name: str) -> bool:
        """Whether some pattern is `name` or could match something inside it."""
        if name in self._exact or name in self._prefixes:
            return True
        if name not in self._below:
            segments = name.split(".")
            self._below[name] = any(
                len(pattern) >= len(segments) and _fits(pattern[: len(segments)], segments)
                for pattern in self._candidates(segments[0])
            )
        return self._below[name]

    def _candidates(self, first: str) -> list[tuple[str, ...]]:
        return self._wild.get(first, []) + self._wild.get("*", [])

    def __bool__(self) -> bool:
        return bool(self._exact or self._wild)


def _prefixes(names: Iterable[str]) -> frozenset[str]:
    """`a` and `a.b` for a name `a.b.c`; most names share theirs with one that was seen before."""
    prefixes: set[str] = set()
    for name in names:
        prefix = name.rpartition(".")[0]
        while prefix and prefix not in prefixes:
            prefixes.add(prefix)
            prefix = prefix.rpartition(".")[0]
    return frozenset(prefixes)


_GLOBS: dict[str, re.Pattern[str]] = {}


def _fits(pattern: tuple[str, ...], segments: list[str]) -> bool:
    for glob, segment in zip(pattern, segments, strict=True):
        if glob == segment:
            continue
        if not _GLOB.search(glob) or (segment.startswith("_") and not glob.startswith("_")):
            return False
        if glob not in _GLOBS:
            _GLOBS[glob] = re.compile(translate(glob))
        if not _GLOBS[glob].match(segment):
            return False
    return True
