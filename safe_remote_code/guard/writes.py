"""What remote code may change: objects of kinds that code makes for itself, and what it owns.

An allowlist of kinds: modules, classes, functions and what hangs on them belong to the whole process.
"""

from __future__ import annotations

import enum
import logging
import sys
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Final

from ..errors import GuardViolationError
from ..refusal_log import LOG
from . import ownership
from .facade import Facade, FacadeView
from .ownership import Sealed, definer, is_remote_globals, owns_callable, owns_class
from .receivers import ALIASES
from .refusal import refuse

#: Objects whose attributes belong to the whole process, or to us.
_SHARED: Final = (
    type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, logging.Logger, logging.Handler, Sealed, *ALIASES,
)  # fmt: skip
#: Kinds of Python's own of which code makes instances to write to; all others hang on modules and classes, too.
_NAMESPACES: Final = frozenset(
    ["types.SimpleNamespace", "argparse.Namespace", "threading.Thread", "threading.Timer", "threading.local",
     "_thread._local", "_thread.local", "collections.OrderedDict", "collections.defaultdict", "collections.UserDict",
     "collections.UserList", "collections.Counter", "random.Random", "queue.Queue", "_io.StringIO", "_io.BytesIO",
     "functools.partial", "string.Template", "json.encoder.JSONEncoder", "json.decoder.JSONDecoder"]
)  # fmt: skip
#: That change nothing but what they were given.
_HARMLESS_CONTEXTS: Final = frozenset(
    ["contextlib.nullcontext", "contextlib.suppress", "contextlib.closing",
     "torch.autograd.grad_mode.no_grad", "torch.autograd.grad_mode.inference_mode",
     "torch.autograd.grad_mode.enable_grad"]
)  # fmt: skip
#: An AttributeError, as natively.
_WITHOUT_ATTRIBUTES: Final = (
    int, float, complex, bool, str, bytes, list, tuple, dict, set, frozenset, type(None), range,
)  # fmt: skip
#: Libraries' objects of which there is one for all, by the module of their class, or the class.
_OF_THE_PROCESS: Final = (
    "torch.distributions.constraints.", "torch.distributions.utils.", "torch.distributions.transforms.",
    "torch.distributions.constraint_registry.", "torch.distributed.tensor.", "torch._ops.", "torch.library.",
    "torch._subclasses.", "torch._guards.", "torch._library.", "transformers.utils.output_capturing.",
    "transformers.pipelines.", "huggingface_hub.", "_cython_", "einops.", "numpy.finfo.",
    "numpy.iinfo.", "tqdm.std.TqdmDefaultWriteLock.",
)  # fmt: skip


def write(receiver: object) -> object:
    """`receiver`, if remote code may set or delete attributes of it.

    Raises:
        GuardViolationError: a module, or a class, function or logger that it does not own.
    """
    if isinstance(receiver, _SHARED):
        return _write_shared(receiver)
    if isinstance(receiver, ownership.shared_kinds) and not owns_class(type(receiver)):
        return _write_shared(receiver)
    if not _may_change(type(receiver)):
        return _write_shared(receiver)
    return receiver


def _may_change(kind: type) -> bool:
    """Whether instances of `kind` are things that code makes for itself and adds attributes to."""
    place = kind.__module__
    if place.startswith(ownership.PACKAGE_PREFIX):
        return True
    if issubclass(kind, BaseException):
        return True
    if kind in _WITHOUT_ATTRIBUTES:
        return True
    if place.partition(".")[0] in sys.stdlib_module_names:
        return f"{place}.{kind.__qualname__}" in _NAMESPACES
    return not issubclass(kind, enum.Enum) and not f"{place}.{kind.__qualname__}.".startswith(_OF_THE_PROCESS)


def _write_shared(receiver: object) -> object:
    if isinstance(receiver, Facade):
        return FacadeView(receiver)
    own = (isinstance(receiver, type) and owns_class(receiver)) or (
        isinstance(receiver, FunctionType) and is_remote_globals(id(receiver.__globals__))
    )
    if not own:
        name = getattr(receiver, "__qualname__", None) or getattr(receiver, "__name__", type(receiver).__name__)
        kind = "module" if isinstance(receiver, ModuleType) else type(receiver).__name__
        error = GuardViolationError(
            f"remote code may not change {kind} {name}, which it does not own",
            remedy="subclass it, or set the attribute on an instance of your own",
        )
        raise LOG.record(error)
    return receiver


def write_namespace(receiver: object) -> object:
    """`receiver`, if remote code may replace its `__dict__`: an instance of a remote class, which is armoured.

    Raises:
        GuardViolationError: anything else, such as a function of its own, which numpy would ask for an address.
    """
    if not ownership.is_finished(type(receiver)):
        refuse(f"__dict__ of a {type(receiver).__name__} may not be replaced")
    return write(receiver)


def held_open(context: object) -> object:
    """`context`, for a `with` block that yields: a generator that nobody resumes never leaves it.

    Raises:
        GuardViolationError: a library's context, such as `torch.device("meta")`, which would stay in force.
    """
    kind = type(context)
    harmless = kind.__module__ in ("_io", "_thread") or f"{kind.__module__}.{kind.__qualname__}" in _HARMLESS_CONTEXTS
    home = definer(kind, "__enter__")
    own = home is not None and owns_callable(type.__getattribute__(home, "__dict__")["__enter__"])
    if not (harmless or own or isinstance(context, Sealed)):
        refuse(f"a block that yields, inside {kind.__qualname__}, which may stay open for the whole process")
    return context
