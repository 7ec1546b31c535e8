"""What belongs to the remote code: classes, functions and instances that it made itself.

A class or function is remote if its code runs on globals that the guard registered. `__module__`
cannot be forged (the grammar refuses to bind or assign it), but globals need no such argument.
"""

from __future__ import annotations

import sys
import threading
import weakref
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Final

from ..places import PYTHON_FOLDERS_AS_SPELLED

if TYPE_CHECKING:
    from types import FrameType

    from .context import PackageContext

#: Globals of remote modules by `id`; they are kept alive, so that an id cannot be used again.
#: Code elsewhere (sentence-transformers, vLLM) tests for this prefix of transformers, so it is kept.
PACKAGE_PREFIX: Final = "transformers_modules."

_GLOBALS: Final[dict[int, tuple[dict[str, object], PackageContext]]] = {}
_CLASSES: Final[weakref.WeakSet[type]] = weakref.WeakSet()
#: Made by a call (`Enum("Kind", ...)`), with whatever module the call says; the guard has not armoured them.
_CALLED: Final[weakref.WeakSet[type]] = weakref.WeakSet()


def register_globals(namespace: dict[str, object], context: PackageContext) -> None:
    """Mark `namespace` as the globals of a remote module of the package of `context`."""
    _GLOBALS[id(namespace)] = (namespace, context)


def context_of_globals(identity: int) -> PackageContext | None:
    """The package whose globals have this `id()`, or None: they are not remote."""
    entry = _GLOBALS.get(identity)
    return entry[1] if entry else None


def is_remote_globals(identity: int) -> bool:
    """Whether `identity` is the `id()` of a remote module's globals."""
    return identity in _GLOBALS


def is_of_remote_code(real_path: str) -> bool:
    """Whether a package that is loaded may read `real_path` as a file of its own: no module to import unguarded."""
    contexts = {id(context): context for _, context in list(_GLOBALS.values())}
    return any(context.holds(real_path) for context in contexts.values())


#: `self.forward = partial(...)`: trusted code that a remote object lets run, with no frame of remote code.
_CALLS_OF_METHODS: Final = frozenset(
    ["_wrapped_call_impl", "_call_impl", "__call__", "tokenize", "encode", "_encode_plus", "_batch_encode_plus",
     "decode", "_decode", "batch_decode", "convert_tokens_to_ids", "apply_chat_template"]
)  # fmt: skip
#: Around one function, as far as `wraps_own` looks.
_MOST_DECORATORS: Final = 20
#: It looks at everything that it compiles.
_COMPILER: Final = "/torch/_dynamo/"
_CALLERS_OF_METHODS: Final = ("torch.nn.modules.module", "transformers.tokenization_")
#: `__init__` that a remote class inherits reads the files that a settings file names.
_LIBRARY: Final = "transformers."
#: The wrappers of library methods that remote code holds: their frames are its own.
_MEDIATED_CALLS: Final = "safe_remote_code.guard.mediated.calls"


#: What remote code starts knows it: `context` is set by the thread itself (`threads.py`).
RUNNING: Final = threading.local()


def context_of_thread() -> PackageContext | None:
    """The package whose code started the running thread, or None."""
    return getattr(RUNNING, "context", None)


def context_on_stack(frame: FrameType | None) -> PackageContext | None:
    """The package of the remote code nearest to `frame` among its callers, or of the thread.

    A library that is being imported acts for itself, whoever made it necessary.
    """
    called: FrameType | None = None
    while frame is not None:
        if (context := context_of_frame(frame, called)) is not None:
            return context
        if frame.f_code.co_name == "<module>":
            return None
        called, frame = frame, frame.f_back
    return context_of_thread()


def context_of_frame(frame: FrameType, called: FrameType | None) -> PackageContext | None:
    """The package that `frame` acts for, or None; `called` is the frame that it called, if any.

    It acts for remote code if it runs it, if it is the wrapper of a library method that remote code holds, if it makes
    a remote object, or if it is where torch or a tokenizer calls what a remote object has in the place of a method, and
    that is not the user's own.
    """
    if (context := context_of_globals(id(frame.f_globals))) is not None:
        return context
    name = frame.f_code.co_name
    if name == "call" and frame.f_globals.get("__name__") == _MEDIATED_CALLS:
        return frame.f_locals.get("context")
    if name == "_wrapped_call_impl" and called is not None and called.f_code.co_name == "_call_impl":
        return None  # which is asked itself
    if name != "__init__" and name not in _CALLS_OF_METHODS:
        return None
    place = str(frame.f_globals.get("__name__"))
    if (name in _CALLS_OF_METHODS and place.startswith(_CALLERS_OF_METHODS)) or (
        name == "__init__" and place.startswith(_LIBRARY)
    ):
        if called is None or _is_of_library(called.f_code.co_filename):
            return _context_of_class(type(frame.f_locals.get("self")))
    return None


def context_of_loader(frame: FrameType) -> PackageContext | None:
    """The package whose tokenizer a library is about to make from the files that its class and its settings name."""
    if frame.f_code.co_name == "_from_pretrained" and str(frame.f_globals.get("__name__")).startswith(_LIBRARY):
        cls = frame.f_locals.get("cls")
        return _context_of_class(cls) if isinstance(cls, type) else None
    return None


def _is_of_library(path: str) -> bool:
    return path.startswith((*PYTHON_FOLDERS_AS_SPELLED, "<")) and _COMPILER not in path


def _context_of_class(kind: type) -> PackageContext | None:
    for cls in type.__getattribute__(kind, "__mro__"):
        module = sys.modules.get(cls.__module__) if owns_class(cls) else None
        if module is not None:
            return context_of_globals(id(vars(module)))
    return None


#: Kinds of library objects that are one for all, such as `scipy.stats.norm`.
shared_kinds: tuple[type, ...] = ()


def share_kind(kind: type) -> None:
    """Note that instances of `kind` belong to the library that made them."""
    global shared_kinds
    if kind not in shared_kinds:
        shared_kinds = (*shared_kinds, kind)


class Sealed:
    """Marks the classes of ours whose instances remote code holds: it may not change them."""

    __slots__ = ()


def register_class(cls: type) -> None:
    """Mark `cls` as made by remote code."""
    _CLASSES.add(cls)


def register_called(cls: type) -> None:
    """Mark `cls` as made by a call of remote code."""
    _CALLED.add(cls)


def owns_class(cls: type) -> bool:
    """Whether `cls` was made by a class statement, or a call, of remote code."""
    if cls in _CLASSES or cls in _CALLED:
        return True
    # transformers copies a remote class to add GenerationMixin; the copy bears its `__module__`.
    module = type.__getattribute__(cls, "__dict__").get("__module__")
    return type(module) is str and module.startswith(PACKAGE_PREFIX)


def descends_from_own(cls: type) -> bool:
    """Whether remote code made `cls` or a class above it; a user's own class may be below one."""
    return any(map(owns_class, type.__getattribute__(cls, "__mro__")))


def is_made(cls: type) -> bool:
    """Whether `cls` itself went through the guard."""
    return cls in _CLASSES


def is_finished(cls: type) -> bool:
    """Whether `cls` or a class that it derives from went through the guard, which armours it; `Enum()` makes others."""
    return any(base in _CLASSES for base in type.__getattribute__(cls, "__mro__"))


def owns_callable(value: object) -> bool:
    """Whether `value` is a function or method whose body is remote code."""
    if isinstance(value, MethodType):
        value = value.__func__
    return isinstance(value, FunctionType) and id(value.__globals__) in _GLOBALS


def wraps_own(function: object) -> bool:
    """Whether `function` is what decorators of libraries made around a function of remote code.

    Their `functools.wraps` says so; remote code cannot write `__wrapped__` to a function that it does not own.
    """
    for _ in range(_MOST_DECORATORS):
        if owns_callable(function):
            return True
        function = vars(function).get("__wrapped__") if isinstance(function, FunctionType) else None
    return False


def owns(value: object) -> bool:
    """Whether `value` is a class or a function of remote code."""
    return owns_callable(value) or (isinstance(value, type) and owns_class(value))


def owns_instance(value: object) -> bool:
    """Whether the class of `value` was made by remote code."""
    return owns_class(type(value))


def definer(cls: type, name: str) -> type | None:
    """The class of `cls.__mro__` that defines `name`, or None."""
    return next(
        (base for base in type.__getattribute__(cls, "__mro__") if name in type.__getattribute__(base, "__dict__")),
        None,
    )
