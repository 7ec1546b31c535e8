"""Findings and uses of one snapshot.

Guarantee: each file is parsed once and walked once; what cannot be parsed is a finding. The answer
depends on the text of the files and the shipped tables alone, not on a policy, the order of the
files, or what is installed.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, final

from ..capability import shipped_capabilities
from ..errors import RefusedError
from ..syntax import parse
from .builtin_names import is_plain_builtin
from .context import Context
from .imports import surely_imported
from .names import Resolver
from .rules import RULES, unknown_syntax, unowned_write, unreadable
from .use import Use
from .uses import USE_NODES, uses_of
from .walk import FileWalk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..finding import Finding
    from ..snapshot import Snapshot, SourceFile
    from .context import Check

_Dispatch = dict[type[ast.AST], tuple["Check", ...]]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What the analysis of the snapshot with digest `digest` found; independent of any policy.

    `unguarded`: what is a finding only where the guard is switched off.
    """

    digest: str
    findings: tuple[Finding, ...] = field(repr=False)
    unguarded: tuple[Finding, ...] = field(default=(), repr=False)
    uses: tuple[Use, ...] = field(repr=False)
    capabilities: tuple[str, ...] = ()


def _dispatch() -> _Dispatch:
    classes = {cls for cls in vars(ast).values() if isinstance(cls, type) and issubclass(cls, ast.AST)}
    table: _Dispatch = {}
    for cls in classes:
        checks = tuple(rule.check for rule in RULES if rule.check is not None and _looks_at(rule.nodes, cls))
        if checks:
            table[cls] = checks
    return table


def _looks_at(nodes: tuple[type[ast.AST], ...], cls: type[ast.AST]) -> bool:
    return cls in nodes or ast.AST in nodes


_CHECKS: Final = _dispatch()
#: For node classes that this Python's `ast` does not list, should there be any.
_UNKNOWN_CHECKS: Final = (unknown_syntax.check,)


def analyse(snapshot: Snapshot) -> Analysis:
    """Analyse every file of `snapshot`. Never raises for what the code holds: that is a finding."""
    findings: set[Finding] = set()
    walks: dict[str, FileWalk] = {}
    for file in snapshot.files:
        read = _read(file)
        if isinstance(read, FileWalk):
            walks[file.path] = read
        else:
            findings.add(read)
    uses = _judge(walks, findings)
    return Analysis(
        digest=snapshot.digest,
        findings=tuple(sorted(item for item in findings if item.rule != unowned_write.RULE.id)),
        unguarded=tuple(sorted(item for item in findings if item.rule == unowned_write.RULE.id)),
        uses=tuple(sorted(uses)),
        capabilities=_capabilities(uses),
    )


def _read(file: SourceFile) -> FileWalk | Finding:
    try:
        return FileWalk(file.path, file.text, parse(file.text, file.path))
    except RefusedError as error:
        return unreadable.refusal(file.path, error)
    except RecursionError:
        return unreadable.refusal(file.path, RefusedError("nested too deep", subject=file.path))


def _judge(walks: Mapping[str, FileWalk], findings: set[Finding]) -> set[Use]:
    table = shipped_capabilities()
    resolver = Resolver(walks)
    uses: set[Use] = set()
    sure = surely_imported(walks)
    for walk in walks.values():
        try:
            _judge_file(Context(walk, resolver, table, walk.path in sure), findings, uses)
        except RecursionError:
            resolver.reset()
            findings.add(unreadable.refusal(walk.path, RefusedError("nested too deep", subject=walk.path)))
    return uses


def _judge_file(context: Context, findings: set[Finding], uses: set[Use]) -> None:
    for node in context.walk.nodes:
        cls = node.__class__
        for check in _CHECKS.get(cls, _UNKNOWN_CHECKS):
            findings.update(check(node, context))
        if cls in USE_NODES:
            uses.update(uses_of(node, context))


def _capabilities(uses: set[Use]) -> tuple[str, ...]:
    table = shipped_capabilities()
    names = {use.name for use in uses if not is_plain_builtin(use.name)}
    return tuple(sorted({sinks.capability for name in names if (sinks := table.sink(name)) is not None}))
