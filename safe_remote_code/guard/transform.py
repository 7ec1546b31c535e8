"""The guard transform: what is decided before the run, so that the run keeps native speed.

Base is RestrictedPython's transformer, whose principle is that a node without a visitor is
refused. Its per-access wrappers are dropped: a literal attribute name is checked here, once, and
left as plain bytecode. Rewritten, hence checked when they run, are only

1. imports: the bytecode holds no import instruction, so nobody who re-interprets it
   (torch.compile does) can import for it;
2. attribute stores and deletions, whose owner must be the remote code's (`guard write`);
3. loads of attributes whose danger depends on the receiver (`grammar.CHECKED` and the capability
   table), and of classes (`x.__class__`, `type(x)`), which must not turn out to be metaclasses;
4. annotations that are, or could come to be, text that `typing` evaluates;
5. class statements, which get a first attribute and an innermost decorator (`finish_class`).
"""

from __future__ import annotations
import __future__ as future

import ast
import copy
import itertools
from typing import TYPE_CHECKING, Final, final

from RestrictedPython.transformer import RestrictingNodeTransformer

from ..errors import PolicyError
from ..finding import Finding
from ..grammar import (
    BY_VALUE,
    CHECKED,
    DEFINABLE,
    IMPLEMENTATIONS,
    NODES,
    is_dunder,
    refused_attribute,
    refused_attribute_store,
    refused_binding,
    refused_form,
    refused_implementation,
    refused_variable,
)
from ..syntax import walk, yields
from . import helpers

if TYPE_CHECKING:
    from collections.abc import Iterable

_PLAIN_REFLECTION: Final = {
    "getattr": helpers.GETATTR,
    "hasattr": helpers.HASATTR,
    "setattr": helpers.SETATTR,
}


def _call(name: str, arguments: list[ast.expr], at: ast.AST) -> ast.Call:
    call = ast.Call(func=ast.Name(name, ast.Load()), args=arguments, keywords=[])
    for node in (call, call.func, *arguments):
        if not hasattr(node, "lineno"):
            ast.copy_location(node, at)
    return call


def finish_class(node: ast.ClassDef) -> None:
    """Let the class be finished: by its first attribute, before `__init_subclass__` and its kin, and by a decorator."""
    value = ast.copy_location(ast.Name(helpers.CLASS_MARKER, ast.Load()), node)
    target = ast.copy_location(ast.Name(helpers.CLASS_MARKER, ast.Store()), node)
    marker = ast.copy_location(ast.Assign(targets=[target], value=value), node)
    node.body.insert(int(ast.get_docstring(node, clean=False) is not None), marker)
    node.decorator_list.append(ast.copy_location(ast.Name(helpers.FINISH_CLASS, ast.Load()), node))


def _bound_names(tree: ast.Module) -> tuple[frozenset[str], frozenset[str]]:
    """Names bound by absolute imports alone, and names bound in any other way (or by a star)."""
    imported: set[str] = set()
    other: set[str] = set()
    for node in walk(tree):
        if isinstance(node, ast.Import):
            imported |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {alias.asname or alias.name for alias in node.names}
            (other if node.level or "*" in names else imported).update(names)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            other.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            other.add(node.name)
        elif isinstance(node, ast.arg):
            other.add(node.arg)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            other.add(node.name)
    return frozenset(imported - other), frozenset(other)


def _leading_futures(tree: ast.Module) -> frozenset[int]:
    """Identities of the imports from `__future__` that stand before any other statement (PEP 236)."""
    after_docstring = tree.body[ast.get_docstring(tree, clean=False) is not None :]
    leading = itertools.takewhile(
        lambda node: isinstance(node, ast.ImportFrom) and node.module == "__future__" and not node.level,
        after_docstring,
    )
    return frozenset(map(id, leading))


@final
class GuardTransformer(RestrictingNodeTransformer):  # type: ignore[misc]  # RestrictedPython is untyped for us
    """Checks and rewrites one module. `findings` holds what was refused."""

    def __init__(self, path: str, tree: ast.Module, checked: frozenset[str]) -> None:
        super().__init__()
        self.findings: list[Finding] = []
        self.future_annotations = False
        self._path = path
        self._checked = CHECKED | checked
        self._imported, self._bound = _bound_names(tree)
        self._futures = _leading_futures(tree)
        self._scopes: list[str] = ["module"]
        self._by_value: set[int] = set()  # targets of assignments whose value is looked at

    # -- refusing -----------------------------------------------------------------------------

    def error(self, node: ast.AST, info: str) -> None:
        """Record a refusal (RestrictedPython's own visitors call this too)."""
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        self.findings.append(
            Finding(path=self._path, line=line, column=column + 1, rule="guard-transform", message=info)
        )

    def visit(self, node: ast.AST) -> object:
        """Visit `node` if the grammar table lists it; refuse it otherwise."""
        name = type(node).__name__
        why = NODES.get(name, "is not known to this version")
        if why is not None:
            self.error(node, f"{name}: {why}")
            return node
        return super().visit(node)

    def check_name(self, node: ast.AST, name: str | None, allow_magic_methods: bool = False) -> None:
        """Every binding form of RestrictedPython's visitors ends here."""
        if name is not None and (why := refused_binding(name)):
            self.error(node, f"{name} {why}")

    def _plain(self, node: ast.AST) -> ast.AST:
        return self.node_contents_visit(node)  # type: ignore[no-any-return]  # untyped base

    # -- names and attributes -----------------------------------------------------------------

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Check the name, bound or read."""
        if not isinstance(node.ctx, ast.Load):
            self.check_name(node, node.id)
            return node
        if why := refused_variable(node.id):
            self.error(node, f"{node.id} {why}")
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Check the literal name now; leave bytecode plain unless the receiver matters."""
        if isinstance(node.ctx, ast.Load):
            if why := refused_attribute(node.attr):
                self.error(node, f"attribute {node.attr} {why}")
            node = self._plain(node)  # type: ignore[assignment]  # same class comes back
            if node.attr == "__class__":
                return _call(helpers.CLASS_OF, [node.value], node)
            if node.attr in self._checked:
                return _call(helpers.ATTRIBUTE, [node.value, ast.Constant(node.attr)], node)
            return node
        if why := refused_attribute_store(node.attr):
            self.error(node, f"attribute {node.attr} {why}")
        plain = isinstance(node.ctx, ast.Del) or id(node) in self._by_value
        if not plain and (why := refused_form(node.attr)):
            self.error(node, f"attribute {node.attr} {why}")
        node = self._plain(node)  # type: ignore[assignment]  # same class comes back
        helper = helpers.WRITE_NAMESPACE if node.attr == "__dict__" else helpers.WRITE
        node.value = _call(helper, [node.value], node)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        """`a.b += c` reads `b` as well: a name that needs a look at run time is refused here."""
        if isinstance(node.target, ast.Attribute) and node.target.attr in self._checked:
            self.error(node, f"augmented assignment to attribute {node.target.attr}")
        return self._plain(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        """`module.forward = value`: trusted code will act upon it, on whatever object it was put."""
        targets = [target for target in node.targets if isinstance(target, ast.Attribute) and target.attr in BY_VALUE]
        self._by_value.update(map(id, targets))
        for target in targets:
            if target.attr in IMPLEMENTATIONS and isinstance(node.value, ast.Constant):
                if why := refused_implementation(node.value.value):
                    self.error(target, f"attribute {target.attr} {why}")
        node = self._plain(node)  # type: ignore[assignment]  # same class comes back
        for target in targets:
            node.value = _call(helpers.STORED, [ast.Constant(target.attr), node.value], node)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Items are plain: what a container holds was handed over by other checks."""
        return self._plain(node)

    # -- calls --------------------------------------------------------------------------------

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """`type(x)` and reflection with a literal name are settled here; the rest stays plain."""
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in self._bound:
            return self._plain(node)
        if name == "type":
            return self._type_call(node)
        spelled_out = not node.keywords and not any(isinstance(item, ast.Starred) for item in node.args)
        if name in _PLAIN_REFLECTION and len(node.args) >= 2 and spelled_out:
            return self._reflection(node, name)
        return self._plain(node)

    def _type_call(self, node: ast.Call) -> ast.AST:
        if len(node.args) != 1 or node.keywords or isinstance(node.args[0], ast.Starred):
            self.error(node, "type() takes one argument here; write a class statement")
        node = self._plain(node)  # type: ignore[assignment]  # same class comes back
        node.func = ast.copy_location(ast.Name(helpers.TYPE_OF, ast.Load()), node)
        return node

    def _reflection(self, node: ast.Call, name: str) -> ast.AST:
        key = node.args[1]
        node = self._plain(node)  # type: ignore[assignment]  # same class comes back
        if not (isinstance(key, ast.Constant) and isinstance(key.value, str)) or key.value in self._checked | BY_VALUE:
            return node
        attribute = key.value
        why = refused_attribute_store(attribute) if name == "setattr" else refused_attribute(attribute)
        if why:
            return node  # the checked builtin raises when this runs; hasattr() of an odd name is common
        if name == "setattr":
            node.args[0] = _call(helpers.WRITE, [node.args[0]], node)
        node.func = ast.copy_location(ast.Name(_PLAIN_REFLECTION[name], ast.Load()), node)
        return node

    # -- imports ------------------------------------------------------------------------------

    def visit_Import(self, node: ast.Import) -> list[ast.stmt]:
        """`import a.b` binds what the import helper returns."""
        statements: list[ast.stmt] = []
        for alias in node.names:
            bound = alias.asname or alias.name.split(".")[0]
            self.check_name(node, bound)
            arguments: list[ast.expr] = [ast.Constant(alias.name), ast.Constant(bool(alias.asname))]
            statements.append(self._bind(bound, _call(helpers.IMPORT, arguments, node), node))
        return statements

    def visit_ImportFrom(self, node: ast.ImportFrom) -> list[ast.stmt]:
        """`from a import b` asks the helper for each name; a star only at module level."""
        if node.module == "__future__" and not node.level:
            self.future_annotations |= any(alias.name == "annotations" for alias in node.names)
            if id(node) not in self._futures:
                self.error(node, "from __future__ imports must occur at the beginning of the file")
            for alias in node.names:
                if alias.name not in future.all_feature_names:
                    self.error(node, f"future feature {alias.name} is not defined")
            return [ast.copy_location(ast.Pass(), node)]
        statements: list[ast.stmt] = []
        for alias in node.names:
            place: list[ast.expr] = [
                ast.Constant(self._path), ast.Constant(node.level), ast.Constant(node.module or "")
            ]  # fmt: skip
            if alias.name == "*":
                if self._scopes != ["module"]:
                    self.error(node, "import * only allowed at module level")
                star = ast.Expr(_call(helpers.IMPORT_STAR, place, node))
                statements.append(ast.copy_location(star, node))
                continue
            if why := refused_attribute(alias.name):
                self.error(node, f"name {alias.name} {why}")
            bound = alias.asname or alias.name
            self.check_name(node, bound)
            value = _call(helpers.IMPORT_FROM, [*place, ast.Constant(alias.name)], node)
            statements.append(self._bind(bound, value, node))
        return statements

    def _bind(self, name: str, value: ast.expr, at: ast.AST) -> ast.stmt:
        target = ast.copy_location(ast.Name(name, ast.Store()), at)
        return ast.copy_location(ast.Assign(targets=[target], value=value), at)

    # -- definitions --------------------------------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Check the name; special methods are an allowlist."""
        if not is_dunder(node.name):
            self.check_name(node, node.name)
        elif node.name not in DEFINABLE:
            self.error(node, f"special method {node.name} may not be defined")
        node.decorator_list = [self.visit(item) for item in node.decorator_list]  # type: ignore[misc]  # expressions
        self.visit(node.args)
        node.returns = self._annotation(node.returns)
        self._scopes.append("function")
        node.body = self._body(node.body)
        self._scopes.pop()
        for parameter in getattr(node, "type_params", []):
            self.visit(parameter)
        return node

    def _body(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        result: list[ast.stmt] = []
        for statement in statements:
            visited = self.visit(statement)
            result += visited if isinstance(visited, list) else [visited]  # type: ignore[list-item]  # a statement
        return result

    def visit_With(self, node: ast.With) -> ast.AST:
        """A block that yields may never be left: what it opens must be the remote code's own, or harmless."""
        held_open = any(map(yields, node.body))
        node = self._plain(node)  # type: ignore[assignment]  # same class comes back
        if held_open:
            for item in node.items:
                item.context_expr = _call(helpers.HELD_OPEN, [item.context_expr], node)
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        """As a function; its argument names are checked by `visit_arg`."""
        return self._plain(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """All argument forms: positional-only, keyword-only, `*args`, `**kwargs`."""
        self.check_name(node, node.arg)
        node.annotation = self._annotation(node.annotation)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """No metaclass but `abc.ABCMeta`; a marker and an innermost decorator of ours."""
        self.check_name(node, node.name)
        if is_dunder(node.name):
            self.error(node, f"class name {node.name}")
        if any(keyword.arg is None for keyword in node.keywords):
            self.error(node, "keywords of a class are spelled out, so that none is its metaclass")
        node.decorator_list = [self.visit(item) for item in node.decorator_list]  # type: ignore[misc]  # expressions
        node.bases = [self.visit(item) for item in node.bases]  # type: ignore[misc]  # expressions
        node.keywords = [self.visit(item) for item in node.keywords]  # type: ignore[misc]  # keywords
        for keyword in node.keywords:
            if keyword.arg == "metaclass":
                keyword.value = _call(helpers.METACLASS, [keyword.value], keyword)
        self._scopes.append("class")
        node.body = self._body(node.body)
        self._scopes.pop()
        for parameter in getattr(node, "type_params", []):
            self.visit(parameter)
        finish_class(node)
        return node

    def visit_Module(self, node: ast.Module) -> ast.AST:
        """The top of a file."""
        node.body = self._body(node.body)
        return node

    # -- annotations --------------------------------------------------------------------------

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """The annotation as in a signature; target and value as in an assignment."""
        node.target = self.visit(node.target)  # type: ignore[assignment]  # same class comes back
        node.annotation = self._annotation(node.annotation)  # type: ignore[assignment]  # not None in, not None out
        if node.value is not None:
            node.value = self.visit(node.value)  # type: ignore[assignment]  # an expression
        return node

    def _annotation(self, node: ast.expr | None) -> ast.expr | None:
        if node is None:
            return None
        if self.future_annotations:
            value: ast.expr = ast.copy_location(ast.Constant(ast.unparse(node)), node)
            self.visit(copy.deepcopy(node))  # for its refusals
        elif self._is_inert(node):
            return self.visit(node)  # type: ignore[return-value]  # an expression
        else:
            value = self.visit(node)  # type: ignore[assignment]  # an expression
        return _call(helpers.ANNOTATION, [ast.Constant(self._path), value], node)

    def _is_inert(self, node: ast.expr) -> bool:
        """Whether no text can come out: `None`, a number, or an imported name or builtin by itself.

        What stands before a dot or a bracket may be something of the code's own that a library shows
        (`os.environ[...]`, a class that it announced).
        """
        if isinstance(node, ast.Constant):
            return not isinstance(node.value, str | bytes)
        return isinstance(node, ast.Name) and node.id not in self._bound | {"type"} and "*" not in self._bound

    # -- forms that RestrictedPython wraps or refuses, and that are plain here -----------------

    visit_For = _plain
    visit_Match = visit_match_case = visit_MatchValue = visit_MatchSingleton = _plain
    visit_MatchSequence = visit_MatchOr = _plain

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        """Not `async for`, which makes an asynchronous generator anywhere."""
        if node.is_async:
            self.error(node.target, "asynchronous comprehension: coroutines hold frames")
        return self._plain(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> ast.AST:
        """A capture binds a name."""
        self.check_name(node, node.name)
        return self._plain(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> ast.AST:
        """So does a starred capture."""
        self.check_name(node, node.name)
        return self._plain(node)

    def visit_Global(self, node: ast.Global) -> ast.AST:
        """`global` and `nonlocal` bind later; the names are checked there and here."""
        for name in node.names:
            self.check_name(node, name)
        return node

    visit_Nonlocal = visit_Global


def transform(tree: ast.Module, path: str, checked: Iterable[str]) -> ast.Module:
    """Rewrite `tree` (in place) for the guard.

    Raises:
        PolicyError: the code is outside the grammar; every place is listed.
    """
    transformer = GuardTransformer(path, tree, frozenset(checked))
    result = transformer.visit(tree)
    if transformer.findings:
        raise PolicyError(
            "the guard refuses this code", subject=path, findings=sorted(transformer.findings),
            remedy="remove these constructs, or do not load this code",
        )  # fmt: skip
    ast.fix_missing_locations(result)  # type: ignore[type-var]  # a Module came back
    return result  # type: ignore[return-value]  # a Module came back
