"""Policies: who may load code, what that code is granted, and which walls stand.

Guarantee: a `Policy` that exists grants something, denies by default, and has a `why` for every
grant. Data files hold the rules (`policies/*.toml`); this module holds the mechanism.

It does not: read the environment, the network, or anything beside the files it is given.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, final

from .capability import CAPABILITIES, shipped_capabilities
from .documents import Table, parse_toml, read_bytes
from .errors import DocumentError
from .patterns import PATTERN, NamePatterns
from .shipped import shipped_path
from .signing.rules import TrustRule, read_keys, read_revoked, read_rule

Wall = Literal["identity", "analysis", "guard", "monitor"]
WALLS: Final = ("identity", "analysis", "guard", "monitor")
Pinning = Literal["required", "record"]
_PINNINGS: Final = ("required", "record")
Deferred = Literal["guard", "refuse"]
_DEFERREDS: Final = ("guard", "refuse")
Execution = Literal["in-process", "worker"]
_EXECUTIONS: Final = ("in-process", "worker")
_MAX_EXTENDS_DEPTH: Final = 8
_Stamp = tuple[int, int, int]
#: Policies by file, with the stamps of every file that was read for them.
_LOADED: Final[dict[Path, tuple[dict[Path, _Stamp], Policy]]] = {}
#: Seconds: long generations on slow machines take minutes; a worker that is silent for longer hangs.
_REPLY_SECONDS: Final = 1800


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Dotted names and capabilities that code from `sources` is granted, and why.

    `replaced`: the guard answers these names with something of ours, never with the real object.
    """

    names: tuple[str, ...]
    capabilities: tuple[str, ...]
    sources: tuple[str, ...]
    why: str
    replaced: bool = False

    def __post_init__(self) -> None:
        if not self.names and not self.capabilities:
            raise ValueError("a grant grants something")
        if not self.why.strip():
            raise ValueError("a grant has a reason")

    def applies_to(self, source: str) -> bool:
        """Whether `source` (as `RepoSource` spells itself) gets this grant."""
        return any(fnmatchcase(source, pattern) for pattern in self.sources)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What one source is granted: the question that analysis, guard and monitor ask."""

    source: str
    names: NamePatterns
    capabilities: frozenset[str]
    replaced: NamePatterns = NamePatterns(())

    def allows(self, name: str) -> bool:
        """Whether the dotted `name` is granted and no ungranted capability stands against it."""
        sink = shipped_capabilities().sink(name)
        return (sink is None or sink.capability in self.capabilities) and self.names.match(name) is not None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """Bounds of a worker: seconds that one answer may take, and bytes of address space (0: no bound)."""

    reply_seconds: int = _REPLY_SECONDS
    memory_bytes: int = 0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy with its inheritance resolved."""

    name: str
    grants: tuple[Grant, ...] = field(repr=False)
    allow: tuple[str, ...] = ("*",)
    deny: tuple[str, ...] = ()
    pinning: Pinning = "required"
    deferred: Deferred = "guard"
    unsafe_disable: frozenset[str] = frozenset()
    trust: tuple[TrustRule, ...] = ()
    revoked: frozenset[str] = frozenset()
    execution: Execution = "in-process"
    worker: WorkerLimits = WorkerLimits()

    def __post_init__(self) -> None:
        if len({rule.name for rule in self.trust}) != len(self.trust):
            raise DocumentError("two trust rules have one name", subject=self.name, remedy="rename one of them")
        if not self.grants:
            raise DocumentError("grants nothing, so no code could load", subject=self.name, remedy="extend 'default'")
        if not self.allow:
            raise DocumentError("allows no source", subject=self.name, remedy="list sources under [sources] allow")

    def stands(self, wall: Wall) -> bool:
        """Whether `wall` is up."""
        return wall not in self.unsafe_disable

    def allows_source(self, source: str) -> bool:
        """Whether code of `source` may be considered at all. A deny wins over every allow."""
        denied = any(fnmatchcase(source, pattern) for pattern in self.deny)
        return not denied and any(fnmatchcase(source, pattern) for pattern in self.allow)

    def trust_for(self, source: str) -> tuple[TrustRule, ...]:
        """The rules about signatures that `source` must meet, each of them; with none, the pin alone holds."""
        return tuple(rule for rule in self.trust if rule.applies_to(source))

    def granted(self, source: str) -> Granted:
        """The grants that apply to `source`."""
        return _granted(self.grants, source)


@lru_cache(maxsize=64)
def _granted(grants: tuple[Grant, ...], source: str) -> Granted:
    applying = [grant for grant in grants if grant.applies_to(source)]
    return Granted(
        source=source,
        names=NamePatterns(name for grant in applying for name in grant.names),
        capabilities=frozenset(name for grant in applying for name in grant.capabilities),
        replaced=NamePatterns(name for grant in applying if grant.replaced for name in grant.names),
    )


def _grant(table: Table) -> Grant:
    names, capabilities = table.texts("names"), table.texts("capabilities")
    for pattern in names:
        if not PATTERN.fullmatch(pattern):
            raise table.error("names", f"not a dotted pattern: {pattern!r:.80}")
        if pattern.split(".")[0].startswith(("*", "?", "[")):
            raise table.error("names", f"{pattern!r:.80} would grant every library")
    for capability in capabilities:
        if capability not in CAPABILITIES:
            raise table.error("capabilities", f"unknown {capability!r}; known: {', '.join(sorted(CAPABILITIES))}")
    if not names and not capabilities:
        raise table.error("names", "a grant lists names or capabilities")
    why = table.text("why")
    if not why.strip():
        raise table.error("why", "a grant says why")
    sources = table.texts("sources", ("*",))
    replaced = table.flag("replaced", False)
    table.done()
    return Grant(names=names, capabilities=capabilities, sources=sources, why=why, replaced=replaced)


def _choice(table: Table, key: str, choices: tuple[str, ...], default: str) -> str:
    value = table.text(key, default)
    if value not in choices:
        raise table.error(key, f"one of {', '.join(choices)}, not {value!r:.40}")
    return value


def _disabled(table: Table) -> frozenset[str]:
    walls = table.texts("unsafe_disable")
    for wall in walls:
        if wall not in WALLS:
            raise table.error("unsafe_disable", f"unknown wall {wall!r}; known: {', '.join(WALLS)}")
    return frozenset(walls)


def _worker(table: Table, inherited: WorkerLimits) -> WorkerLimits:
    return WorkerLimits(
        reply_seconds=_number(table, "reply_seconds", inherited.reply_seconds, least=1),
        memory_bytes=_number(table, "memory_bytes", inherited.memory_bytes, least=0),
    )


def _number(table: Table, key: str, default: int, *, least: int) -> int:
    value = table.get(key, default)
    if type(value) is not int or not least <= value < 2**63:
        raise table.error(key, f"a whole number from {least}, not {value!r:.40}")
    return value


def _parent_path(name: str, beside: Path) -> Path:
    """`extends` names a shipped policy, or a file relative to the one that extends it."""
    if name.endswith(".toml"):
        return beside.parent / name
    return shipped_path(f"{name}.toml")


def _load(path: Path, seen: tuple[Path, ...], stamps: dict[Path, _Stamp]) -> Policy | tuple[Grant, ...]:
    """The policy or library of grants in the file at `path`; `stamps` gets every file that was read for it."""
    document = str(path)
    stamps[path] = _stamp(path)
    root = parse_toml(read_bytes(path), document)
    if path in seen or len(seen) > _MAX_EXTENDS_DEPTH:
        raise root.error("extends", "policies extend each other in a circle")
    grants: list[Grant] = []
    base: dict[str, object] = {}
    deny: list[str] = []
    trust: list[TrustRule] = []
    disabled, revoked = frozenset[str](), read_revoked(root.tables("revoked"))
    for parent in root.texts("extends"):
        loaded = _load(_parent_path(parent, path), (*seen, path), stamps)
        if isinstance(loaded, Policy):
            grants += loaded.grants
            deny += loaded.deny
            trust += [rule for rule in loaded.trust if rule not in trust]  # two parents may extend one policy
            revoked |= loaded.revoked
            disabled |= loaded.unsafe_disable
            base |= {"allow": loaded.allow, "pinning": loaded.pinning, "deferred": loaded.deferred}
            base |= {"execution": loaded.execution, "worker": loaded.worker}
        else:
            grants += loaded
    grants += [_grant(table) for table in root.tables("grant")]
    if "name" not in root.values and set(root.values) <= {"format", "grant", "extends"} and not base:
        root.done()
        return tuple(grants)  # a library of grants, of use only to a policy that extends it
    keys = read_keys(root.tables("key"))
    trust += [read_rule(table, keys) for table in root.tables("trust")]
    sources, identity, analysis, walls = (root.table(key) for key in ("sources", "identity", "analysis", "walls"))
    worker = root.table("worker")
    policy = Policy(
        name=root.text("name", path.stem),
        grants=tuple(grants),
        allow=sources.texts("allow", base.get("allow", ("*",))),  # type: ignore[arg-type]  # a tuple of ours
        deny=(*deny, *sources.texts("deny")),
        pinning=_choice(identity, "pinning", _PINNINGS, str(base.get("pinning", "required"))),  # type: ignore[arg-type]  # checked
        deferred=_choice(analysis, "deferred", _DEFERREDS, str(base.get("deferred", "guard"))),  # type: ignore[arg-type]  # checked
        unsafe_disable=disabled | _disabled(walls),
        trust=tuple(trust),
        revoked=revoked,
        execution=_choice(root, "execution", _EXECUTIONS, str(base.get("execution", "in-process"))),  # type: ignore[arg-type]  # checked
        worker=_worker(worker, base.get("worker", WorkerLimits())),  # type: ignore[arg-type]  # one of ours
    )
    root.get("why")
    for table in (sources, identity, analysis, walls, worker, root):
        table.done()
    return policy


def load_policy(policy: str | os.PathLike[str] | Policy = "default") -> Policy:
    """The policy that `policy` names: a shipped name (`default`, `strict`, `explore`) or a TOML file.

    Raises:
        DocumentError: there is no such policy, or it is malformed (the place is named).
    """
    if isinstance(policy, Policy):
        return policy
    text = os.fspath(policy)
    path = Path(text) if text.endswith(".toml") or os.sep in text else shipped_path(f"{text}.toml")
    if not path.is_file():
        raise _no_policy(text)
    path = path.resolve()
    known = _LOADED.get(path)
    if known is None or any(_stamp(read) != stamp for read, stamp in known[0].items()):
        stamps: dict[Path, _Stamp] = {}
        loaded = _load(path, (), stamps)
        if not isinstance(loaded, Policy):
            raise DocumentError("a library of grants, not a policy", subject=text, remedy="extend it from a policy")
        known = _LOADED[path] = stamps, loaded
    return known[1]


def _no_policy(text: str) -> DocumentError:
    if os.path.isfile(text) and not text.endswith(".toml"):
        message = "no shipped policy of this name; the file of this name is not read, for a policy file ends in .toml"
        return DocumentError(message, subject=text, remedy=f"rename it to {text}.toml, or write ./{text}")
    return DocumentError("no such policy", subject=text, remedy="give a TOML file, or one of: default, strict, explore")


def _stamp(path: Path) -> _Stamp:
    """What changes when the file at `path` is edited or replaced; -1 where there is none."""
    try:
        status = path.stat()
    except OSError:
        return (-1, -1, -1)
    return (status.st_ino, status.st_mtime_ns, status.st_size)
