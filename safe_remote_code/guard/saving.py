"""Saving methods that remote classes define: where a user's call opens a folder for writing.

`model.save_pretrained(folder)` by the user lets the remote code of that call write below `folder`.
The same method called by remote code, directly or as a stored hook, opens nothing: whoever reads
the method from remote code gets a mediated call, whose frame counts as remote.
"""

from __future__ import annotations

import functools
import os
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Final

from .context import exact_path, writing_below
from .honesty import armour_constructor, armour_readers, refuse_special_slots
from .mediated import calls
from .memory import armour
from .ownership import context_of_thread, is_remote_globals, register_class

if TYPE_CHECKING:
    from collections.abc import Callable

_SAVERS: Final = ("save_pretrained", "save_vocabulary", "_save_pretrained", "save_config", "save_to_json")

#: A mediated call is made for remote code, also when a library calls it later.
_MEDIATED_GLOBALS: Final = vars(calls)


def remote_code_on_stack() -> bool:
    """Whether remote code is among the callers of the calling function."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_globals is _MEDIATED_GLOBALS or is_remote_globals(id(frame.f_globals)):
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


def finish_class(cls: type) -> type:
    """The innermost decorator of every remote class: note its owner, open folders for its savers."""
    register_class(cls)
    refuse_special_slots(cls)
    armour(cls)
    armour_readers(cls)
    armour_constructor(cls)
    for name in _SAVERS:
        method = cls.__dict__.get(name)
        if isinstance(method, FunctionType):
            setattr(cls, name, _opening(method))
    return cls
