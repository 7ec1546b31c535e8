"""From an expression to the dotted names that it may be: ``F.softmax`` is ``torch.nn.functional.softmax``.

Guarantee: aliases, own modules, star imports, ``getattr`` with a literal and both arms of a conditional
are followed; what cannot be followed makes the answer incomplete, and rules treat incomplete as
suspicious. Every answer takes bounded time: cycles, long chains and wide unions end in "unknown".

It does not: follow values through calls, containers or attributes of instances.
"""

from __future__ import annotations

import ast
import builtins
import sys
from typing import TYPE_CHECKING, Final, final

from .scopes import NOTHING, UNKNOWN, Binding, Meaning, OwnTarget, Place, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .walk import FileWalk

_MAX_DEPTH: Final = 20
_MAX_NAMES: Final = 24
_MAX_NAME_CHARS: Final = 400
_ALWAYS: Final = sys.maxsize
#: Names that the interpreter itself provides; those added by `site` as well.
_MODULE_GLOBALS: Final = frozenset(["__name__", "__doc__", "__package__", "__loader__", "__spec__"])
BUILTIN_NAMES: Final = (
    frozenset(dir(builtins)) | {"exit", "quit", "help", "license", "copyright", "credits"}
) - _MODULE_GLOBALS


@final
class Resolver:
    """Meanings of the expressions of all files of one snapshot."""

    def __init__(self, files: Mapping[str, FileWalk]) -> None:
        self._files = files
        self._memo: dict[ast.expr, Meaning] = {}
        self._depth = 0
        self._active: set[tuple[Scope, str]] = set()

    def meaning(self, node: ast.expr, place: Place) -> Meaning:
        """What `node`, which stands at `place`, may be."""
        cls = node.__class__
        if cls not in _RESOLVED:
            return UNKNOWN
        known = self._memo.get(node)
        if known is None:
            known = self._meaning(node, place)
            if not self._depth:
                self._memo[node] = known
        return known

    def _meaning(self, node: ast.expr, place: Place) -> Meaning:
        if isinstance(node, ast.Name):
            return self.name(place.scope, node.id, node.lineno)
        if isinstance(node, ast.Attribute):
            return self._chain(node, place)
        if isinstance(node, ast.NamedExpr):
            return self.meaning(node.value, place)
        if isinstance(node, ast.IfExp):
            return _union([self.meaning(node.body, place), self.meaning(node.orelse, place)])
        if isinstance(node, ast.BoolOp):
            return _union([self.meaning(value, place) for value in node.values])
        literal = self.literal_getattr(node, place)
        return self._attribute(self.meaning(literal[0], place), literal[1]) if literal else UNKNOWN

    def literal_getattr(self, node: ast.expr, place: Place) -> tuple[ast.expr, str] | None:
        """Receiver and name, if `node` is ``getattr(receiver, "name", ...)`` of the builtin."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or len(node.args) < 2:
            return None
        key = node.args[1]
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            return None
        if "builtins.getattr" not in self.meaning(node.func, place).names:
            return None
        return node.args[0], key.value

    def _chain(self, node: ast.Attribute, place: Place) -> Meaning:
        """A loop, not a recursion: aliases of long chains must not exhaust the stack."""
        attributes: list[str] = []
        here: ast.expr = node
        while isinstance(here, ast.Attribute) and here not in self._memo:
            attributes.append(here.attr)
            here = here.value
        meaning = self.meaning(here, place)
        for attribute in reversed(attributes):
            meaning = self._attribute(meaning, attribute)
        return meaning

    def bound_values(self, node: ast.expr, place: Place) -> list[ast.expr]:
        """The expressions that may have been assigned to the name `node`; `node` itself if it is not a name."""
        if not isinstance(node, ast.Name):
            return [node]
        scope: Scope | None = place.scope
        while scope is not None and node.id not in scope.bindings:
            scope = scope.redirected.get(node.id, scope.parent)
        found = scope.bindings[node.id] if scope else []
        return [binding.value for binding in found[:_MAX_NAMES] if binding.value is not None]

    def reset(self) -> None:
        """Forget what was under way, after the stack was exhausted."""
        self._depth = 0
        self._active.clear()

    def _attribute(self, base: Meaning, attribute: str) -> Meaning:
        if not base.names and not base.modules:
            return UNKNOWN
        names = tuple(f"{name}.{attribute}" for name in base.names)
        if names and len(names[0]) > _MAX_NAME_CHARS:
            return UNKNOWN
        parts = [Meaning(names, complete=base.complete)]
        parts += [self._member(path, attribute) for path in base.modules]
        return _union(parts)

    # -- names --------------------------------------------------------------------------------

    def name(self, scope: Scope, name: str, line: int) -> Meaning:
        """What `name` may be at `line` of `scope`."""
        meaning, builtin_until = self._find(scope, name)
        if line < builtin_until and name in BUILTIN_NAMES:
            return meaning._replace(names=(*meaning.names, f"builtins.{name}"))
        return meaning

    def _find(self, scope: Scope, name: str) -> tuple[Meaning, int]:
        """The meaning of `name` without the builtin, and the line before which it may be the builtin."""
        known = scope.memo.get(name)
        if known is None:
            if (scope, name) in self._active or self._depth > _MAX_DEPTH:
                return UNKNOWN, 0
            self._active.add((scope, name))
            known = self._lookup(scope, name)
            self._active.discard((scope, name))
            scope.memo[name] = known
        return known

    def _lookup(self, scope: Scope, name: str) -> tuple[Meaning, int]:
        if name in scope.redirected and scope.redirected[name] is not scope:
            return self._find(scope.redirected[name], name)
        found = scope.bindings.get(name)
        if not found:
            return self._outside(scope, name)
        if scope.receiver == name and len(found) == 1:
            return Meaning(receiver=True), 0
        self._depth += 1
        parts = self._bindings(found)
        self._depth -= 1
        if scope.kind in ("function", "comprehension"):
            return _union(parts), 0
        until = _bound_after(found)
        if until:  # before that line, a module or class scope shows what is outside of it
            outside, outside_until = self._outside(scope, name)
            known = outside is not UNKNOWN
            return _union([*parts, outside] if known else parts), min(until, outside_until)
        return _union(parts), 0

    def _outside(self, scope: Scope, name: str) -> tuple[Meaning, int]:
        outer = scope.parent
        while outer is not None and outer.kind == "class":
            outer = outer.parent
        if outer is not None:
            return self._find(outer, name)
        stars = self._stars(scope, name)
        if stars:
            return _union(stars), _ALWAYS
        return (NOTHING if name in BUILTIN_NAMES else UNKNOWN), _ALWAYS

    def _bindings(self, found: list[Binding]) -> list[Meaning]:
        meanings = dict.fromkeys(self._binding(binding) for binding in found[:_MAX_NAMES])
        if len(found) > _MAX_NAMES:
            meanings[UNKNOWN] = None
        return list(meanings)

    def _binding(self, binding: Binding) -> Meaning:
        if binding.kind == "library":
            return Meaning((binding.library,), complete=True)
        if binding.kind == "own" and binding.own is not None:
            return self._own(binding.own)
        if binding.kind == "alias" and binding.value is not None and binding.place is not None:
            return self.meaning(binding.value, binding.place)
        return NOTHING if binding.kind in ("none", "deleted") else UNKNOWN

    # -- other files of the repository --------------------------------------------------------

    def _own(self, target: OwnTarget) -> Meaning:
        path = next((path for path in target.files if path in self._files), None)
        member = self._member(path, target.name) if path else UNKNOWN
        if member.names or member.modules:
            return member
        submodule = next((path for path in target.submodules if path in self._files), None)
        return Meaning(modules=(submodule,), complete=True) if submodule else member

    def _member(self, path: str, name: str) -> Meaning:
        scope = self._files[path].scope
        if name in scope.bindings or scope.stars:
            return self.name(scope, name, _ALWAYS)
        return UNKNOWN

    def _stars(self, module: Scope, name: str) -> list[Meaning]:
        """What star imports may bind `name` to. A library star cannot shadow what looks like a builtin here:
        `star-import` reports it, and the guard binds what is granted."""
        found: list[Meaning] = []
        for star in module.stars[:_MAX_NAMES]:
            if isinstance(star, str):
                found += [] if name in BUILTIN_NAMES else [Meaning((f"{star}.{name}",))]
            else:
                meaning = self._own(star._replace(name=name, submodules=()))
                found += [meaning] if meaning.names or meaning.modules else []
        return found


_RESOLVED: Final = frozenset([ast.Name, ast.Attribute, ast.NamedExpr, ast.IfExp, ast.BoolOp, ast.Call])


def _bound_after(found: list[Binding]) -> int:
    """The line after which one of these bindings is in force for sure."""
    if any(binding.kind == "deleted" for binding in found):
        return _ALWAYS
    return min((binding.line + 1 for binding in found if binding.sure), default=_ALWAYS)


def _union(meanings: Iterable[Meaning]) -> Meaning:
    parts = list(meanings)
    names = tuple(dict.fromkeys(name for part in parts for name in part.names))
    modules = tuple(dict.fromkeys(path for part in parts for path in part.modules))
    whole = len(names) <= _MAX_NAMES and len(modules) <= _MAX_NAMES
    complete = whole and bool(parts) and all(part.complete for part in parts)
    return Meaning(names[:_MAX_NAMES], modules[:_MAX_NAMES], complete)
