"""Trusted deputies: library modules that answer themselves for some events, whoever made them necessary."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from typing import Final

from .audited import CODE, LISTINGS, PROCESS, PYTHON_FOLDERS, path_of, written

#: Four are ours, at work for a load that remote code asks for: they read the policy and the lock file that the user
#: chose and the signatures beside it, remember approved versions, and lay out verified text under its digest.
_DEPUTIES: Final = (
    "importlib.", "safe_remote_code.documents", "safe_remote_code.execute.source_store",
    "safe_remote_code.signing.store", "safe_remote_code.verify.memory",
)  # fmt: skip
#: The compiler behind `torch.compile`: it runs compilers, loads what they made, and writes to its own folders alone.
_COMPILER_MODULES: Final = ("torch._inductor.", "triton.")
#: These call what remote code gives them (`torch._dynamo.disable(f)(path)`, `torch.vmap(f)`), so they are
#: trusted with code objects, with files of the compiler's own folders, and to read installed packages, alone.
_CALLERS: Final = ("torch._dynamo.", "torch._functorch.")
_SOURCE_READERS: Final = ("linecache", "tokenize")
#: What the compiler may start on behalf of remote code, found on the search path (`options={"cpp.cxx": ...}`).
_COMPILERS: Final = re.compile(
    r"([\w-]+-)?(g\+\+|gcc|cc|c\+\+|clang|clang\+\+|ld|lld|as|nvcc|ptxas|cuobjdump|nvdisasm|ldconfig|hipcc|openssl|nvidia-smi)(-?[\d.]+)?"
)


def is_deputy(name: object, event: str, arguments: tuple[object, ...]) -> bool:
    """Whether a module of this name answers for the event itself."""
    if not isinstance(name, str):
        return False
    if name.startswith(_DEPUTIES):
        return event not in PROCESS or name.startswith("importlib.")
    if name.startswith(_COMPILER_MODULES):
        return _is_compiler(arguments) if event in PROCESS else all(map(_is_of_compiler, written(event, arguments)))
    if name.startswith(_CALLERS):
        return event in CODE or _caller_may(event, arguments)
    return name in _SOURCE_READERS and event == "open" and str(path_of(arguments[0])).endswith(".py")


def _caller_may(event: str, arguments: tuple[object, ...]) -> bool:
    changed = written(event, arguments)
    if changed:
        return all(map(_is_of_compiler, changed))
    path = path_of(arguments[0]) if arguments else None
    reads = event == "open" or event in LISTINGS
    return _is_of_compiler(path) or (reads and path is not None and path.startswith(PYTHON_FOLDERS))


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


def _is_of_compiler(path: str | None) -> bool:
    """Whether `path` lies in a folder that Inductor or Triton keep for themselves."""
    temporary, home = tempfile.gettempdir(), os.path.expanduser("~")
    folders = [
        os.environ.get("TORCHINDUCTOR_CACHE_DIR") or os.path.join(temporary, "torchinductor_"),
        os.environ.get("TRITON_CACHE_DIR") or os.path.join(os.environ.get("TRITON_HOME") or home, ".triton"),
    ]
    return path is not None and path.startswith(tuple(map(os.path.realpath, folders)))
