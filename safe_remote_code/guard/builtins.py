"""The builtins of guarded code: an allowlist of names, some of them replaced.

The exceptions that pass `except Exception` (CVE-2026-55244) are there by name, because real code catches
them and writes them in annotations, but as stand-ins that do not pass it. Tombstones, which say what was
refused: eval, exec, compile, globals, memoryview and the interactive ones.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from typing import Final

_PLAIN: Final = """
abs all any ascii bin bool bytearray bytes callable chr classmethod complex dict dir divmod enumerate filter float
format frozenset hash hex id int isinstance issubclass iter len list map max min next object oct ord pow print property
range repr reversed round set slice sorted staticmethod str sum super tuple zip
Ellipsis NotImplemented True False None __debug__ __build_class__
""".split()
BURIED: Final = (
    "eval",
    "exec",
    "compile",
    "globals",
    "memoryview",
    "input",
    "breakpoint",
    "help",
    "exit",
    "quit",
)
_NOT_EXCEPTIONS: Final = frozenset(["BaseException", "SystemExit", "KeyboardInterrupt", "GeneratorExit",
                                    "BaseExceptionGroup", "ExceptionGroup"])  # fmt: skip
#: `except KeyboardInterrupt` catches none, `raise SystemExit` ends no process, `BaseException` is `Exception`.
_STAND_INS: Final = {
    "BaseException": Exception,
    **{name: type(name, (Exception,), {"__module__": "builtins"}) for name in ("KeyboardInterrupt", "SystemExit")},
    "GeneratorExit": type("GeneratorExit", (Exception,), {"__module__": "builtins"}),
}


def _exceptions() -> dict[str, object]:
    return {
        name: value
        for name, value in vars(builtins).items()
        if isinstance(value, type) and issubclass(value, BaseException) and name not in _NOT_EXCEPTIONS
    }


def _import_for_native_code(name: str, *_: object, **__: object) -> None:
    """What C code finds when it imports for itself while a guarded frame is running (`PyImport_Import`).

    It takes the module from `sys.modules` afterwards; nobody is handed one here.
    """
    if name not in sys.modules:
        importlib.import_module(name)


def plain_builtins() -> dict[str, object]:
    """The builtins that are what they are everywhere, as a new dict.

    A dict and no read-only mapping: CPython's LOAD_GLOBAL is fast, and torch.compile works, only
    with an exact dict. Guarded code has no name for it.
    """
    plain = {name: getattr(builtins, name) for name in _PLAIN}
    return plain | _exceptions() | _STAND_INS | {"__import__": _import_for_native_code}
