"""Capabilities: what a dotted name, or an attribute of a granted library's object, would let code do.

The mapping is data, `policies/capabilities.toml`; this module only reads it and answers questions.
A name in this table is shown to remote code only if its capability is granted, whatever else a
policy grants.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final, Literal, final

from .documents import Table, parse_toml, read_bytes
from .patterns import PATTERN, NamePatterns
from .shipped import shipped_path

Capability = str
CAPABILITIES: Final = frozenset(
    {
        "file-read", "file-write", "network", "process", "native-code", "deserialise", "dynamic-code",
        "environment", "monkey-patch", "introspection", "hub-download", "raw-memory", "global-state",
    }
)  # fmt: skip
AttributeKind = Literal["instance", "copy", "write-path", "read-path", "refused"]
#: From lenient to strict: shown as a copy; called with its paths checked; never.
_KINDS: Final = ("instance", "copy", "write-path", "read-path", "refused")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sinks:
    """Dotted names of one capability. `defer`: a use inside a function body may wait for the guard."""

    capability: Capability
    defer: bool
    names: NamePatterns
    patterns: tuple[str, ...]
    why: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SensitiveAttribute:
    """An attribute name that is dangerous on objects which the remote code does not own.

    `receivers`: dotted classes whose instances are meant; empty means any.
    """

    capability: Capability
    kind: AttributeKind
    why: str
    receivers: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityTable:
    """The capability table: sinks by dotted name, sensitive attributes by name."""

    sinks: tuple[Sinks, ...]
    attributes: dict[str, SensitiveAttribute] = field(repr=False)
    leaf_names: frozenset[str] = field(repr=False)

    def sink(self, name: str) -> Sinks | None:
        """The entry that `name` falls under: itself, or an object inside a listed one."""
        found = next((sinks for sinks in self.sinks if sinks.names.match(name)), None)
        if found is None and "." in name:
            return self._sink_above(name.rpartition(".")[0])
        return found

    def _sink_above(self, name: str) -> Sinks | None:
        for sinks in self.sinks:
            if sinks.names.match(name) == "exact":
                return sinks
        return self._sink_above(name.rpartition(".")[0]) if "." in name else None


def _capability(table: Table, key: str) -> Capability:
    name = table.text(key)
    if name not in CAPABILITIES:
        raise table.error(key, f"unknown capability {name!r}; known: {', '.join(sorted(CAPABILITIES))}")
    return name


def _sinks(table: Table) -> Sinks:
    patterns = table.texts("names", None)
    for pattern in patterns:
        if not PATTERN.fullmatch(pattern):
            raise table.error("names", f"not a dotted pattern: {pattern!r}")
    sinks = Sinks(
        capability=_capability(table, "id"),
        defer=table.flag("defer", True),
        names=NamePatterns(patterns),
        patterns=patterns,
        why=table.text("why"),
    )
    table.done()
    return sinks


def _attributes(table: Table) -> dict[str, SensitiveAttribute]:
    kind = table.text("kind")
    if kind not in _KINDS:
        raise table.error("kind", f"one of {', '.join(_KINDS)}")
    entry = SensitiveAttribute(
        capability=_capability(table, "capability"),
        kind=kind,  # type: ignore[arg-type]  # checked above
        why=table.text("why"),
        receivers=table.texts("receivers"),
    )
    names = table.texts("names", None)
    table.done()
    return dict.fromkeys(names, entry)


def _stricter(one: SensitiveAttribute | None, other: SensitiveAttribute) -> SensitiveAttribute:
    """Two libraries may list one name: the stricter kind holds, for the receivers of both."""
    if one is None:
        return other
    strict, lenient = sorted((one, other), key=lambda entry: -_KINDS.index(entry.kind))
    both = (*strict.receivers, *lenient.receivers) if strict.receivers and lenient.receivers else ()
    return replace(strict, receivers=both)


def parse_capabilities(data: bytes, document: str) -> CapabilityTable:
    """Read a capability table.

    Raises:
        DocumentError: malformed, or empty: an empty table would call everything harmless.
    """
    root = parse_toml(data, document)
    sinks = tuple(_sinks(table) for table in root.tables("capability"))
    attributes: dict[str, SensitiveAttribute] = {}
    for table in root.tables("attribute"):
        for name, entry in _attributes(table).items():
            attributes[name] = _stricter(attributes.get(name), entry)
    root.done()
    if not sinks or not attributes:
        raise root.error("", "an empty capability table would call everything harmless")
    leaves = (pattern.rpartition(".")[2] for entry in sinks for pattern in entry.patterns)
    return CapabilityTable(
        sinks=sinks, attributes=attributes, leaf_names=frozenset(leaf for leaf in leaves if leaf.isidentifier())
    )


@lru_cache(maxsize=1)
def shipped_capabilities() -> CapabilityTable:
    """The table that ships with the package."""
    path = shipped_path("capabilities.toml")
    return parse_capabilities(read_bytes(path), str(path))
