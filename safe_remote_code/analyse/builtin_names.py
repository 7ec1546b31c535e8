"""The builtins that guarded code has, and those that it must not have.

The first list is the guard's (a test holds that they agree): the analysis may not import the guard,
because the commands that look at unverified code must not be able to run it.
"""

from __future__ import annotations

from typing import Final

_ALLOWED: Final = """
abs all any ascii bin bool bytearray bytes callable chr classmethod complex dict dir divmod enumerate filter float
format frozenset hash hex id int isinstance issubclass iter len list map max min next object oct ord pow print property
range repr reversed round set slice sorted staticmethod str sum super tuple zip
Ellipsis NotImplemented True False None __debug__ __build_class__
open type getattr hasattr setattr delattr
ArithmeticError AssertionError AttributeError BlockingIOError BrokenPipeError BufferError BytesWarning ChildProcessError
ConnectionAbortedError ConnectionError ConnectionRefusedError ConnectionResetError DeprecationWarning EOFError
EncodingWarning EnvironmentError Exception FileExistsError FileNotFoundError FloatingPointError FutureWarning IOError
ImportError ImportWarning IndentationError IndexError InterruptedError IsADirectoryError KeyError LookupError
MemoryError ModuleNotFoundError NameError NotADirectoryError NotImplementedError OSError OverflowError
PendingDeprecationWarning PermissionError ProcessLookupError PythonFinalizationError RecursionError ReferenceError
ResourceWarning RuntimeError RuntimeWarning StopAsyncIteration StopIteration SyntaxError SyntaxWarning SystemError
TabError TimeoutError TypeError UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError
UnicodeTranslateError UnicodeWarning UserWarning ValueError Warning ZeroDivisionError _IncompleteInputError
BaseException KeyboardInterrupt SystemExit GeneratorExit
""".split()
ALLOWED_BUILTINS: Final = frozenset(f"builtins.{name}" for name in _ALLOWED)

#: Capability by builtin: none of these exists under the guard, whatever a policy grants.
REFUSED_BUILTINS: Final = {
    "builtins.eval": "dynamic-code", "builtins.exec": "dynamic-code", "builtins.compile": "dynamic-code",
    "builtins.__import__": "dynamic-code", "builtins.__loader__": "dynamic-code", "builtins.__spec__": "introspection",
    "builtins.globals": "introspection", "builtins.locals": "introspection", "builtins.vars": "introspection",
    "builtins.__dict__": "introspection", "builtins.breakpoint": "introspection", "builtins.memoryview": "raw-memory",
    "builtins.input": "process", "builtins.help": "process",
    "builtins.exit": "process", "builtins.quit": "process",
}  # fmt: skip


def is_plain_builtin(name: str) -> bool:
    """Whether the dotted `name` is an allowed builtin that is what it is everywhere, or inside one."""
    root = ".".join(name.split(".", 2)[:2])
    return root in ALLOWED_BUILTINS and root != "builtins.open"


def is_refused_builtin(name: str) -> bool:
    """Whether the dotted `name` is a builtin that no code gets, or inside one."""
    return ".".join(name.split(".", 2)[:2]) in REFUSED_BUILTINS
