"""Saving methods of remote classes: where a user's call opens a folder for writing.

`model.save_pretrained(folder)` by the user lets the remote code of that call write below `folder`.
The same method called by remote code, directly or as a stored hook, opens nothing: whoever reads
the method from remote code gets a mediated call, whose frame counts as remote. A `save_vocabulary` that
a remote class inherits from a library copies what its receiver names, and is asked what that is.
"""

from __future__ import annotations

import builtins
import functools
import os
import sys
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from .armour.honesty import armour_constructor, armour_readers, refuse_half_contexts, refuse_special_slots
from .armour.memory import armour
from .context import exact_path, writing_below
from .mediated import calls
from .ownership import context_of_thread, definer, is_remote_globals, owns_class, register_class

if TYPE_CHECKING:
    from collections.abc import Callable

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


def _opening(method: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(method)
    def save(self: object, save_directory: object, *arguments: object, **keywords: object) -> object:
        if remote_code_on_stack() or not isinstance(save_directory, str | os.PathLike):
            return method(self, save_directory, *arguments, **keywords)
        directory = exact_path(save_directory)
        with writing_below(directory):
            return method(self, directory, *arguments, **keywords)

    # inspect.signature follows __wrapped__, so callers that look at the parameters still see them.
    return save


def _inherited_vocabulary(cls: Any, context: PackageContext) -> Callable[..., object]:
    """A library's `save_vocabulary`, which copies what attributes of a remote tokenizer name.

    They are looked at before; `_held` lets only those pass that are the same when the library looks.
    """

    @functools.wraps(cls.save_vocabulary)
    def save_vocabulary(self: Any, *arguments: object, **keywords: object) -> object:
        _check_vocabulary(self, context)
        return super(cls, self).save_vocabulary(*arguments, **keywords)

    return save_vocabulary


def _check_vocabulary(tokenizer: Any, context: PackageContext) -> None:
    """The files that a library's `save_vocabulary` copies: from folders of the package, under plain names."""
    for key, name in dict(_held(tokenizer, "vocab_files_names", context)).items():
        path = _held(tokenizer, key, context)
        if os.path.basename(exact_path(name)) != exact_path(name):
            raise context.violation(f"save_vocabulary under the name {name!r}", "file-write", "save_vocabulary")
        real = os.path.realpath(exact_path(path)) if isinstance(path, str | os.PathLike) else ""
        if os.path.exists(real) and not context.may_read(real):
            raise context.violation(f"save_vocabulary of {path!r}", "file-read", "save_vocabulary")


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
    """Let the saving methods that `cls` defines open the user's folder; what it inherits copies no other vocabulary."""
    for name in _SAVERS:
        method = cls.__dict__.get(name)
        if isinstance(method, FunctionType):
            type.__setattr__(cls, name, _opening(method))
    home = definer(cls, "save_vocabulary")
    if home is not None and not owns_class(home) and isinstance(home.__dict__["save_vocabulary"], FunctionType):
        type.__setattr__(cls, "save_vocabulary", _opening(_inherited_vocabulary(cls, context)))


def finisher(context: PackageContext) -> Callable[[type], type]:
    """The innermost decorator of every remote class of one package."""

    def finish_class(cls: type) -> type:
        register_class(cls)
        refuse_special_slots(cls)
        refuse_half_contexts(cls)
        armour(cls)
        armour_readers(cls)
        armour_constructor(cls)
        watch_savers(cls, context)
        return cls

    return finish_class


def unguarded_builtins(context: PackageContext) -> dict[str, object]:
    """The builtins of a package without the guard, whose classes are finished all the same."""
    finish = finisher(context)

    def build_class(*arguments: Any, **keywords: Any) -> Any:
        cls = builtins.__build_class__(*arguments, **keywords)
        return finish(cls) if isinstance(cls, type) else cls

    return {**vars(builtins), "__build_class__": build_class}
