"""One walk over a syntax tree: every node with its parent and its place, every binding in its scope.

Guarantee: every node is listed, whatever its class; operators and contexts, which have no fields of
their own, are left out (`unknown-syntax` looks at them).
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Final, final

from ..relative_imports import candidates
from .scopes import Binding, OwnTarget, Place, Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .use import When

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
_SIMPLE: Final = (ast.Name, ast.Attribute, ast.Call, ast.IfExp, ast.BoolOp, ast.NamedExpr)
#: Fields that hold no node, or a node without fields.
_LEAVES: Final = frozenset("ctx op ops id attr arg name names asname module level kind type_comment".split())


def _child_fields(cls: type[ast.AST]) -> tuple[str, ...]:
    if cls in (ast.Name, ast.Constant):
        return ()
    return tuple(name for name in cls._fields if name not in _LEAVES)


_FIELDS: Final[dict[type[ast.AST], tuple[str, ...]]] = {
    cls: _child_fields(cls) for cls in vars(ast).values() if isinstance(cls, type) and issubclass(cls, ast.AST)
}


@final
class FileWalk:
    """The nodes of one file in source order, their parents and places, and its module scope."""

    def __init__(self, path: str, text: str, tree: ast.Module) -> None:
        self.path = path
        self.text = text
        self.lines = text.split("\n")
        self.ascii = text.isascii()
        self.nodes: list[ast.AST] = []
        self.parents: dict[ast.AST, ast.AST] = {}
        self.places: dict[ast.AST, Place] = {}
        self.scope = Scope("module", None)
        self.imported: set[str] = set()  # dotted names that are modules for sure
        self.defined: set[str] = set()  # names of functions and of attributes that some class body binds
        self.own_imports: list[tuple[OwnTarget, When]] = []
        self.postponed = _postponed_annotations(tree)
        self._visit(tree, tree, Place(self.scope, "import"))

    # -- generic ------------------------------------------------------------------------------

    def _visit(self, node: ast.AST, parent: ast.AST, place: Place) -> None:
        self.nodes.append(node)
        self.parents[node] = parent
        self.places[node] = place
        cls = node.__class__
        special = _SPECIAL.get(cls)
        if special is not None:
            special(self, node, place)
            return
        self._children(node, _FIELDS[cls], place)

    def _children(self, node: ast.AST, fields: Sequence[str], place: Place) -> None:
        for name in fields:
            value = getattr(node, name, None)
            if value.__class__ is list:
                self._all(value, node, place)
            elif isinstance(value, ast.AST):
                self._visit(value, node, place)

    def _all(self, nodes: Sequence[ast.AST | None], parent: ast.AST, place: Place) -> None:
        for node in nodes:
            if isinstance(node, ast.AST):  # None stands for `**x` in a dict, and for a missing default
                self._visit(node, parent, place)

    # -- bindings -----------------------------------------------------------------------------

    def _bind(self, name: str | None, place: Place, node: ast.AST, binding: Binding | None = None) -> None:
        if not name:
            return
        scope = place.scope
        if isinstance(self.parents.get(node), ast.NamedExpr):
            while scope.kind == "comprehension" and scope.parent is not None:
                scope = scope.parent  # a walrus binds outside the comprehension (PEP 572)
        if scope.kind == "class":
            self.defined.add(name)
        line = getattr(node, "lineno", 1)
        scope.bind(name, binding or Binding("other", line, sure=place.when == "import"))

    def _name(self, node: ast.Name, place: Place) -> None:
        if isinstance(node.ctx, ast.Store):
            self._bind(node.id, place, node)
        elif isinstance(node.ctx, ast.Del):
            self._bind(node.id, place, node, Binding("deleted", node.lineno))

    def _assign(self, node: ast.Assign | ast.AnnAssign | ast.NamedExpr, place: Place) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if isinstance(node, ast.AnnAssign):
            self._visit(node.annotation, node, place.in_annotation(self.postponed))
        if node.value is not None:
            self._visit(node.value, node, place)
        for target in targets:
            if isinstance(target, ast.Name) and node.value is not None:
                self.nodes.append(target)
                self.parents[target] = node
                self.places[target] = place
                self._bind(target.id, place, target, _alias(node.value, place))
            elif isinstance(target, ast.Name):
                self.nodes.append(target)  # `x: int` alone binds nothing, but makes the name local
                self.parents[target] = node
                self.places[target] = place
                self._bind(target.id, place, target, Binding("none", target.lineno))
            else:
                self._visit(target, node, place)

    def _import(self, node: ast.Import, place: Place) -> None:
        for alias in node.names:
            self.nodes.append(alias)
            self.parents[alias] = node
            self.places[alias] = place
            self.imported.update(_prefixes(alias.name))
            library = alias.name if alias.asname else alias.name.partition(".")[0]
            bound = alias.asname or library
            self._bind(bound, place, alias, Binding("library", node.lineno, place.when == "import", library))

    def _import_from(self, node: ast.ImportFrom, place: Place) -> None:
        module = node.module or ""
        if not node.level:
            self.imported.update(_prefixes(module))
        for alias in node.names:
            self.nodes.append(alias)
            self.parents[alias] = node
            self.places[alias] = place
            target: OwnTarget | str = _own(node, alias.name, self.path) if node.level else f"{module}.{alias.name}"
            if isinstance(target, OwnTarget):
                self.own_imports.append((target, place.when))
            if alias.name == "*":
                place.scope.module.stars.append(target if isinstance(target, OwnTarget) else module)
                continue
            sure = place.when == "import"
            if isinstance(target, OwnTarget):
                binding = Binding("own", node.lineno, sure, own=target)
            else:
                binding = Binding("library", node.lineno, sure, target)
            self._bind(alias.asname or alias.name, place, alias, binding)

    def _global(self, node: ast.Global | ast.Nonlocal, place: Place) -> None:
        for name in node.names:
            place.scope.redirect(name, to_module=isinstance(node, ast.Global))

    def _named(self, node: ast.AST, place: Place) -> None:
        """`except as`, match captures, type parameters: a `name` beside children."""
        for field in ("name", "rest"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                self._bind(name, place, node)
        self._children(node, _FIELDS[node.__class__], place)

    # -- definitions --------------------------------------------------------------------------

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, place: Place) -> None:
        self._bind(node.name, place, node)
        self.defined.add(node.name)
        self._all(node.decorator_list, node, place)
        scope = Scope("function", place.scope, _receiver(node, place.scope))
        self._all(getattr(node, "type_params", []), node, place)
        self._arguments(node.args, node, place, scope)
        if node.returns is not None:
            self._visit(node.returns, node, place.in_annotation(self.postponed))
        self._all(node.body, node, Place(scope, "call"))

    def _lambda(self, node: ast.Lambda, place: Place) -> None:
        scope = Scope("function", place.scope)
        self._arguments(node.args, node, place, scope)
        self._visit(node.body, node, Place(scope, "call"))

    def _arguments(self, node: ast.arguments, parent: ast.AST, place: Place, scope: Scope) -> None:
        self.nodes.append(node)
        self.parents[node] = parent
        self.places[node] = place
        annotated = place.in_annotation(self.postponed)
        for arg in (*node.posonlyargs, *node.args, node.vararg, *node.kwonlyargs, node.kwarg):
            if arg is None:
                continue
            self.nodes.append(arg)
            self.parents[arg] = node
            self.places[arg] = place
            scope.bind(arg.arg, Binding("other", arg.lineno))
            if arg.annotation is not None:
                self._visit(arg.annotation, arg, annotated)
        self._all(node.defaults, node, place)
        self._all(node.kw_defaults, node, place)

    def _class(self, node: ast.ClassDef, place: Place) -> None:
        self._bind(node.name, place, node)
        self._all(node.decorator_list, node, place)
        self._all(getattr(node, "type_params", []), node, place)
        self._all(node.bases, node, place)
        self._all(node.keywords, node, place)
        self._all(node.body, node, place._replace(scope=Scope("class", place.scope)))

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, place: Place) -> None:
        inner = place.conditional()._replace(scope=Scope("comprehension", place.scope))
        for index, generator in enumerate(node.generators):
            self.nodes.append(generator)
            self.parents[generator] = node
            self.places[generator] = inner
            self._visit(generator.iter, generator, inner if index else place)
            self._visit(generator.target, generator, inner)
            self._all(generator.ifs, generator, inner)
        if isinstance(node, ast.DictComp):
            self._visit(node.key, node, inner)
            self._visit(node.value, node, inner)
        else:
            self._visit(node.elt, node, inner)

    # -- what may not run ---------------------------------------------------------------------

    def _branches(self, node: ast.AST, place: Place) -> None:
        """`if`, `while`, `for`, `try`, `with`, `match`, `assert`, `x if y else z`: the first part is sure."""
        sure = _SURE_FIELDS.get(node.__class__, ())
        self._children(node, sure, place)
        maybe = place.conditional()
        self._children(node, [name for name in _FIELDS[node.__class__] if name not in sure], maybe)

    def _bool(self, node: ast.BoolOp, place: Place) -> None:
        self._visit(node.values[0], node, place)
        self._all(node.values[1:], node, place.conditional())


_SURE_FIELDS: Final[dict[type[ast.AST], tuple[str, ...]]] = {
    ast.If: ("test",), ast.IfExp: ("test",), ast.While: ("test",), ast.For: ("iter",), ast.AsyncFor: ("iter",),
    ast.With: ("items",), ast.AsyncWith: ("items",), ast.Match: ("subject",), ast.Assert: ("test",),
}  # fmt: skip
_SPECIAL: Final[dict[type[ast.AST], Callable[[FileWalk, Any, Place], None]]] = {
    ast.Name: FileWalk._name, ast.Assign: FileWalk._assign, ast.AnnAssign: FileWalk._assign,
    ast.NamedExpr: FileWalk._assign, ast.Import: FileWalk._import, ast.ImportFrom: FileWalk._import_from,
    ast.Global: FileWalk._global, ast.Nonlocal: FileWalk._global, ast.FunctionDef: FileWalk._function,
    ast.AsyncFunctionDef: FileWalk._function, ast.Lambda: FileWalk._lambda, ast.ClassDef: FileWalk._class,
    ast.ListComp: FileWalk._comprehension, ast.SetComp: FileWalk._comprehension,
    ast.GeneratorExp: FileWalk._comprehension, ast.DictComp: FileWalk._comprehension,
    ast.BoolOp: FileWalk._bool, ast.ExceptHandler: FileWalk._named, ast.MatchAs: FileWalk._named,
    ast.MatchStar: FileWalk._named, ast.MatchMapping: FileWalk._named,
    **dict.fromkeys((*_SURE_FIELDS, ast.Try, ast.TryStar), FileWalk._branches),
    **{getattr(ast, name): FileWalk._named for name in ("TypeVar", "ParamSpec", "TypeVarTuple") if hasattr(ast, name)},
}  # fmt: skip


def _alias(value: ast.expr, place: Place) -> Binding:
    sure = place.when == "import"
    if isinstance(value, _SIMPLE):
        return Binding("alias", value.lineno, sure, value=value, place=place)
    if isinstance(value, ast.Constant) and value.value is None:
        return Binding("none", value.lineno, sure)
    return Binding("other", value.lineno, sure, value=value, place=place)


def _receiver(node: ast.FunctionDef | ast.AsyncFunctionDef, outer: Scope) -> str:
    """The first parameter of a method, or nothing."""
    static = any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in node.decorator_list)
    positional = [*node.args.posonlyargs, *node.args.args]
    return positional[0].arg if outer.kind == "class" and positional and not static else ""


def _own(node: ast.ImportFrom, name: str, path: str) -> OwnTarget:
    module = node.module or ""
    submodules = () if name == "*" else candidates(f"{module}.{name}".lstrip("."), node.level, path)
    return OwnTarget(candidates(module, node.level, path), name, submodules)


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def _postponed_annotations(tree: ast.Module) -> bool:
    futures = (node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__")
    return any(item.name == "annotations" for node in futures for item in node.names)
