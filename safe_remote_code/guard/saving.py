"""Saving methods of remote classes: where a user's call opens a folder for writing.

`model.save_pretrained(folder)` by the user lets the remote code of that call write below `folder`.
The same method called by remote code, directly or as a stored hook, opens nothing: whoever reads
the method from remote code gets a mediated call, whose frame counts as remote. A method that a remote class
inherits from a library writes and copies what its receiver names: the monitor takes that for remote code's doing.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import os
import sys
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, final

from ..errors import GuardViolationError
from . import helpers
from .armour.honesty import (
    armour_constructor,
    armour_equality,
    armour_readers,
    fix_kernels,
    fix_slots,
    inherited_fields,
    refuse_half_contexts,
    refuse_special_slots,
    refuse_telling_fields,
)
from .armour.memory import armour
from .context import exact_path, is_saving, writing_below
from .loading import watch_loader
from .mediated import calls, deferred
from .ownership import Sealed, context_of_thread, definer, is_made, is_remote_globals, owns_class, register_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from .context import PackageContext

_SAVERS: Final = ("save_pretrained", "save_vocabulary", "_save_pretrained", "save_config", "save_to_json")

#: Values that are the same whenever a library looks.
_KEPT: Final = (str, dict, type(Path()), type(None))
#: A mediated call is made for remote code, also when a library calls it later.
_MEDIATED_GLOBALS: Final = vars(calls)


#: Whoever saves does so for itself: inside the call of a module it is a hook, or something else that was left there.
_MODULE_CALLS: Final = "torch.nn.modules.module"


def remote_code_on_stack() -> bool:
    """Whether remote code, or a module that is being called, is among the callers of the calling function."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_globals is _MEDIATED_GLOBALS or is_remote_globals(id(frame.f_globals)):
            return True
        if frame.f_globals.get("__name__") == _MODULE_CALLS:
            return True
        frame = frame.f_back  # type: ignore[assignment]  # None ends the loop
    return context_of_thread() is not None


def context_of_saver(frame: FrameType) -> PackageContext | None:
    """The package for which `frame` saves, if it is one of the wrappers made here: what it writes is for that package.

    A library's `save_pretrained` joins and copies what attributes of its receiver name.
    """
    if frame.f_globals is globals() and frame.f_code.co_name == "save":
        return frame.f_locals.get("context")
    return None


def _saver(cls: Any, name: str, context: PackageContext) -> Callable[..., object]:
    """The saving method `name` of remote class `cls`, its own or inherited, which opens the folder of a user's call.

    What it saves in turn goes below that folder: within a save, no other folder is opened.
    """
    own = cls.__dict__.get(name)
    copies = name == "save_vocabulary" and own is None

    @functools.wraps(own or getattr(cls, name))
    def save(self: Any, *arguments: Any, **keywords: Any) -> object:
        act = getattr(super(cls, self), name) if own is None else functools.partial(own, self)
        given = arguments[0] if arguments else keywords.get("save_directory")
        with contextlib.ExitStack() as stack:
            if copies:
                stack.enter_context(_vocabulary_held(self, context))
            if isinstance(given, str | os.PathLike) and not is_saving() and not remote_code_on_stack():
                given = exact_path(given)
                stack.enter_context(writing_below(given))
                if arguments:
                    arguments = (given, *arguments[1:])
                else:
                    keywords["save_directory"] = given
            return act(*arguments, **keywords)

    # inspect.signature follows __wrapped__, so callers that look at the parameters still see them.
    return save


@contextlib.contextmanager
def _vocabulary_held(tokenizer: Any, context: PackageContext) -> Iterator[None]:
    """While a library's `save_vocabulary` copies the files that a remote tokenizer names, the names stay what they are.

    Raises:
        GuardViolationError: a file outside the folders of the package, a name that is no plain one, or a computed one.
    """
    exact: dict[str, str] = {}
    for key, name in dict(_held(tokenizer, "vocab_files_names", context)).items():
        if type(key) is not str or type(name) is not str or os.path.basename(name) != name:
            raise context.violation(f"save_vocabulary under the name {name!r}", "file-write", "save_vocabulary")
        path = _held(tokenizer, key, context)
        real = os.path.realpath(exact_path(path)) if isinstance(path, str | os.PathLike) else ""
        if os.path.exists(real) and not context.may_read(real):
            raise context.violation(f"save_vocabulary of {path!r}", "file-read", "save_vocabulary")
        exact[key] = name
    namespace = object.__getattribute__(tokenizer, "__dict__")
    before = namespace.get("vocab_files_names")
    namespace["vocab_files_names"] = exact
    try:
        yield
    finally:
        if before is None:
            del namespace["vocab_files_names"]
        else:
            namespace["vocab_files_names"] = before


def _held(tokenizer: Any, name: str, context: PackageContext) -> Any:
    """An attribute that the tokenizer keeps; one that remote code computes may be another one next time."""
    kind = type(tokenizer)
    home = definer(kind, name)
    computing = [definer(kind, "__getattribute__"), None if name in vars(tokenizer) else definer(kind, "__getattr__")]
    if home is not None and not isinstance(home.__dict__[name], str | dict | None):
        computing.append(home)
    value = getattr(tokenizer, name, None)
    if any(cls is not None and owns_class(cls) for cls in computing) or type(value) not in _KEPT:
        raise context.violation(f"save_vocabulary: {name} is computed", "file-read", "save_vocabulary")
    return value


def watch_savers(cls: type, context: PackageContext) -> None:
    """Let the saving methods of `cls`, its own and those that it inherits from a library, open the user's folder."""
    for name in _SAVERS:
        home = definer(cls, name)
        if home is not None and (home is cls or not owns_class(home)) and isinstance(home.__dict__[name], FunctionType):
            type.__setattr__(cls, name, _saver(cls, name, context))


def finisher(context: PackageContext) -> Callable[[type], type]:
    """The innermost decorator of every remote class of one package."""

    def finish_class(cls: type) -> type:
        if helpers.CLASS_MARKER in cls.__dict__:  # of a named tuple, which is made otherwise
            type.__delattr__(cls, helpers.CLASS_MARKER)
        if is_made(cls):
            return cls
        if issubclass(cls, super):
            raise GuardViolationError(f"{cls.__qualname__} would speak for any object, as super does")
        register_class(cls)
        refuse_special_slots(cls)
        refuse_telling_fields(cls, inherited_fields(cls))
        fix_slots(cls)
        refuse_half_contexts(cls)
        armour(cls)
        armour_readers(cls)
        armour_constructor(cls)
        armour_equality(cls)
        fix_kernels(cls)
        watch_savers(cls, context)
        watch_loader(cls, context)
        return cls

    return finish_class


@final
class _Marker(Sealed):
    """Stands first in the body of every remote class, so that the class is finished before anybody is told of it."""

    def __init__(self, finish: Callable[[type], type]) -> None:
        _FINISHERS[id(self)] = (self, finish)

    def __set_name__(self, owner: type, name: str) -> None:
        type.__delattr__(owner, name)
        _FINISHERS[id(self)][1](owner)


#: By `id`, and alive: remote code may see a marker, and must find nothing on it.
_FINISHERS: Final[dict[int, tuple[_Marker, Callable[[type], type]]]] = {}


def class_builders(context: PackageContext) -> dict[str, object]:
    """What the bytecode of a class statement finds: Python's own builder, the marker, and the innermost decorator."""
    finish = finisher(context)

    def build_class(*arguments: Any, **keywords: Any) -> Any:
        try:
            return builtins.__build_class__(*arguments, **keywords)
        except RuntimeError as error:  # before Python 3.12, what `__set_name__` raises is the cause of one
            if isinstance(error.__cause__, GuardViolationError):
                raise error.__cause__ from None
            raise

    return {
        "__build_class__": build_class,
        helpers.CLASS_MARKER: _Marker(finish),
        helpers.FINISH_CLASS: finish,
    }


def unguarded_builtins(context: PackageContext) -> dict[str, object]:
    """The builtins of a package without the guard, whose classes are finished all the same."""
    return {**vars(builtins), **deferred.builtins(context), **class_builders(context)}
