"""Admitted text to code objects: the one home of `compile`."""

from __future__ import annotations
import __future__ as future

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from ..capability import shipped_capabilities
from ..errors import RefusedError
from ..syntax import parse, walk
from .transform import finish_class, transform

if TYPE_CHECKING:
    from types import CodeType

    from ..admit import AdmittedSnapshot
    from ..snapshot import SourceFile


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedModule:
    """One module: the text that people read and the code that runs."""

    file: SourceFile
    code: CodeType = field(repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedPackage:
    """Code objects of an admitted snapshot, by path.

    `guarded` is False only if the policy switched the guard wall off.
    """

    admitted: AdmittedSnapshot
    modules: dict[str, GuardedModule] = field(repr=False)
    guarded: bool

    def __post_init__(self) -> None:
        snapshot = self.admitted.verified.snapshot
        if {path: module.file.sha256 for path, module in self.modules.items()} != snapshot.manifest:
            raise ValueError("the modules are not those of the admitted snapshot")
        if not self.guarded and self.admitted.policy.stands("guard"):
            raise ValueError("the policy asks for the guard")


def guard(admitted: AdmittedSnapshot, folder: str) -> GuardedPackage:
    """Compile `admitted`, as if its files lay in `folder` (for tracebacks).

    Raises:
        PolicyError: the code is outside the grammar of the guard.
        RefusedError: it is not Python after all.
    """
    guarded = admitted.policy.stands("guard")
    modules = {
        file.path: GuardedModule(file=file, code=_compile(file, f"{folder}/{file.path}", guarded=guarded))
        for file in admitted.verified.snapshot.files
    }
    return GuardedPackage(admitted=admitted, modules=modules, guarded=guarded)


def _compile(file: SourceFile, filename: str, *, guarded: bool) -> CodeType:
    tree: ast.Module = parse(file.text, file.path)
    flags = 0
    if guarded:
        tree = transform(tree, file.path, shipped_capabilities().attributes)
    else:
        flags = _future_flags(tree)
        for node in walk(tree):
            if isinstance(node, ast.ClassDef):
                finish_class(node)
    try:
        code: CodeType = compile(tree, filename, "exec", flags, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # `break` outside a loop, and the like
        message = getattr(error, "msg", None) or str(error)
        raise RefusedError(f"not Python: {message}", subject=f"{file.path}:{getattr(error, 'lineno', 1)}") from None
    return code


def _future_flags(tree: ast.Module) -> int:
    names = {
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        for alias in node.names
    }
    return future.annotations.compiler_flag if "annotations" in names else 0
