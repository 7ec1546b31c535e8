"""Trusted deputies: library modules that answer themselves for some events, whoever made them necessary.

Each is trusted with what it is there for: the import system with reading modules and with what installed
modules do while they are imported, the compiler with its compilers and its folders, and nothing with more.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from importlib.machinery import all_suffixes
from typing import TYPE_CHECKING, Final

from ..guard.ownership import is_of_remote_code
from ..places import PYTHON_FOLDERS
from .audited import CODE, LISTINGS, PROCESS, path_of, written

if TYPE_CHECKING:
    from types import FrameType

#: Four are ours, at work for a load that remote code asks for: they read the policy and the lock file that the user
#: chose and the signatures beside it, remember approved versions, and lay out verified text under its digest.
_DEPUTIES: Final = (
    "safe_remote_code.documents", "safe_remote_code.execute.source_store",
    "safe_remote_code.signing.store", "safe_remote_code.verify.memory",
)  # fmt: skip
_IMPORT_SYSTEM: Final = "importlib."
_MODULE_SUFFIXES: Final = tuple(all_suffixes())
#: The compiler behind `torch.compile`: it runs compilers, loads what they made, and writes to its own folders alone.
_COMPILER_MODULES: Final = ("torch._inductor.", "triton.")
#: These call what remote code gives them (`torch._dynamo.disable(f)(path)`, `torch.vmap(f)`), so they are
#: trusted with code objects, with files of the compiler's own folders, and to read installed packages, alone.
_CALLERS: Final = ("torch._dynamo.", "torch._functorch.")
#: Asked for now: `gettempdir` tries the folder out under a lock, and the event of that would ask again.
_TEMPORARY: Final = tempfile.gettempdir()
#: Lines of source for a traceback or a warning: of installed code and of what the package may read, and no others.
_SOURCE_READERS: Final = ("linecache", "tokenize")
#: What the compiler may start on behalf of remote code, found on the search path (`options={"cpp.cxx": ...}`).
_COMPILERS: Final = re.compile(
    r"([\w-]+-)?(g\+\+|gcc|cc|c\+\+|clang|clang\+\+|ld|lld|as|nvcc|ptxas|cuobjdump|nvdisasm|ldconfig|hipcc|openssl|nvidia-smi)(-?[\d.]+)?"
)


def is_deputy(frame: FrameType, called: FrameType | None, event: str, arguments: tuple[object, ...]) -> bool:
    """Whether the module of `frame` answers for the event itself; `called` is the frame that it called, if any."""
    name = frame.f_globals.get("__name__")
    if not isinstance(name, str):
        return False
    if name.startswith(_IMPORT_SYSTEM):
        return _imports_installed(called) or _importer_may(frame, event, arguments)
    if name.startswith(_DEPUTIES):
        return event not in PROCESS
    if name.startswith(_COMPILER_MODULES):
        if event in PROCESS:
            return _is_compiler(arguments)
        header = frame.f_code.co_name == "_precompile_header"
        return all(_is_of_compiler(path) or (header and _is_header(path)) for path in written(event, arguments))
    if name.startswith(_CALLERS):
        return event in CODE or _caller_may(event, arguments)
    return name in _SOURCE_READERS and event == "open" and _is_known_source(path_of(arguments[0]))


def shows_source(frame: FrameType, event: str) -> bool:
    """Whether `frame` opens a file to show lines of it; a traceback or a warning does without."""
    return event == "open" and frame.f_globals.get("__name__") in _SOURCE_READERS


def _is_known_source(path: str | None) -> bool:
    return path is not None and path.endswith(".py") and (path.startswith(PYTHON_FOLDERS) or is_of_remote_code(path))


def _imports_installed(called: FrameType | None) -> bool:
    """Whether `called` is the body of an installed module: what it does on import does not depend on who imports it."""
    if called is None or called.f_code.co_name != "<module>":
        return False
    return called.f_code.co_filename.startswith((*PYTHON_FOLDERS, "<frozen "))


def _importer_may(frame: FrameType, event: str, arguments: tuple[object, ...]) -> bool:
    """Look for modules and read them; while it executes one, read its byte code and keep it."""
    changed = written(event, arguments)
    if changed or event in CODE:
        cached = (path is not None and "__pycache__" in path.split(os.sep)[-2:] for path in changed)
        return frame.f_code.co_name == "exec_module" and all(cached)
    if event == "open":
        path = path_of(arguments[0])
        if path is None or path.startswith(PYTHON_FOLDERS):
            return path is not None
        return path.endswith(_MODULE_SUFFIXES) and not is_of_remote_code(path)
    return event in LISTINGS


def _caller_may(event: str, arguments: tuple[object, ...]) -> bool:
    changed = written(event, arguments)
    if changed:
        return all(map(_is_of_compiler, changed))
    if event == "open" or event in LISTINGS:
        path = path_of(arguments[0])
        return path is not None and (_is_of_compiler(path) or path.startswith(PYTHON_FOLDERS))
    return event == "ctypes.dlopen" and _is_of_compiler(path_of(arguments[0]))


def _is_compiler(arguments: tuple[object, ...]) -> bool:
    command = arguments[1] if len(arguments) > 1 else None
    program = str(command[0]) if isinstance(command, list | tuple) and command else str(arguments[0])
    if program == sys.executable:
        return True  # workers of the compiler
    found = shutil.which(os.path.basename(program))
    return bool(
        _COMPILERS.fullmatch(os.path.basename(program))
        and found
        and (os.sep not in program or os.path.realpath(program) == os.path.realpath(found))
    )


def _is_header(path: str | None) -> bool:
    """Whether `path` is the folder that `tempfile` makes for a header to be compiled before all others, or in it."""
    folder = os.path.join(os.path.realpath(tempfile.tempdir or _TEMPORARY), "tmp")
    return path is not None and re.fullmatch(rf"{re.escape(folder)}\w{{8}}(/.*)?", path) is not None


def _is_of_compiler(path: str | None) -> bool:
    """Whether `path` lies in a folder that Inductor or Triton keep for themselves."""
    temporary, home = tempfile.tempdir or _TEMPORARY, os.path.expanduser("~")
    common = os.path.join(temporary, "torchinductor_")  # precompiled headers are kept there in any case
    folders = [
        common,
        os.environ.get("TORCHINDUCTOR_CACHE_DIR") or common,
        os.environ.get("TRITON_CACHE_DIR") or os.path.join(os.environ.get("TRITON_HOME") or home, ".triton"),
    ]
    return path is not None and path.startswith(tuple(map(os.path.realpath, folders)))
