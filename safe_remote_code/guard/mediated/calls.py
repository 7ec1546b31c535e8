"""Calls of granted libraries' methods that take a path, made by remote code.

Guarantee: whoever calls such a method through us has a remote frame on the stack (the wrapper's
own: the monitor counts this module as remote code), so that a method which is stored as a hook and
called later by a library is still seen as remote code's doing; and the path arguments were checked
and made exact before the library saw them.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from pathlib import Path, PurePath
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final, Literal

from ...grammar import IMPLEMENTATIONS, METHODS, refused_implementation
from ..context import downloading_own_files, exact_path
from ..ownership import descends_from_own, owns_callable
from ..refusal import refuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..context import PackageContext

PathKind = Literal["write-path", "read-path"]
#: Values that hold nothing and call nobody.
PLAIN_KINDS: Final = (int, float, bool, str, type(None))


def mediated_call(
    function: Callable[..., object],
    kind: PathKind | None,
    context: PackageContext,
    receiver: object = None,
    *,
    all_paths: bool = False,
) -> Callable[..., object]:
    """`function` with its path arguments checked for `kind` (None: only marked as remote code's call).

    `all_paths`: every text argument is a path, not just the first and those that look like one.
    """

    own_path = isinstance(receiver, PurePath) and getattr(function, "__name__", "") not in _TO_ANOTHER
    last = -1 if own_path else _last_place(function)

    def call(*arguments: object, **keywords: object) -> object:
        if kind is None:
            return function(*arguments, **keywords)
        act = function
        if isinstance(receiver, PurePath):
            # A path of our own of the text that was checked: a class of remote code may say something else next time.
            text = exact_path(receiver)
            _check(text, kind, context, function)
            act = getattr(Path(text), function.__name__)
            if function.__name__ in _OF_CONTENT:
                return act(*arguments, **keywords)
        exact = [
            _argument(item, kind, context, function, first=all_paths or index <= last)
            for index, item in enumerate(arguments)
        ]
        names = _path_names(function, last) if keywords and not own_path else frozenset()
        named = {
            name: _argument(item, kind, context, function, first=all_paths or name in names)
            for name, item in keywords.items()
        }
        if not named.get("weights_only", True):
            raise context.violation(f"{_name(function)}: weights_only=False unpickles objects", "deserialise")
        if kind == "read-path" and exact and exact[0] in context.repositories:
            with downloading_own_files():
                return act(*exact, **named)
        return act(*exact, **named)

    call.__name__ = getattr(function, "__name__", "call")
    call.__doc__ = getattr(function, "__doc__", None)
    return call


def marked_call(function: Callable[..., object], context: PackageContext) -> Callable[..., object]:
    """`function`, whose call counts as remote code's; in words that torch.compile follows."""

    def call(*arguments: object, **keywords: object) -> object:
        _ = context  # the monitor reads it off the frame
        return function(*arguments, **keywords)

    return call


def method_of(value: Any, context: PackageContext) -> Any:
    """`value`, for an attribute that trusted code calls on any object (`module.forward = value`)."""
    return marked_call(value, context) if callable(value) and not owns_callable(value) else value


def stored(name: str, value: Any, context: PackageContext) -> Any:
    """`value`, for the attribute `name` of any object, on which trusted code may act.

    Raises:
        GuardViolationError: it would load a native kernel.
    """
    if name in METHODS:
        return method_of(value, context)
    if name in IMPLEMENTATIONS and (why := refused_implementation(value)):
        refuse(f"attribute {name!r} {why}")
    return value


#: What the parameter that takes the path is called where a signature does not say which one is first.
_PATH_NAMES: Final = frozenset(
    [
        "path",
        "file",
        "fp",
        "fid",
        "f",
        "fname",
        "filename",
        "name",
        "target",
        "folder",
        "save_directory",
        "files",
        "out",
    ]
)


#: Methods of path objects that take another path; of the others it is the object itself.
_TO_ANOTHER: Final = ("rename", "replace", "symlink_to", "hardlink_to", "link_to")
#: And what these take is what the file will hold.
_OF_CONTENT: Final = ("write_text", "write_bytes")


def _last_place(function: Callable[..., object]) -> int:
    """The last position at which the path may stand: of a method that was read off its class, behind the receiver."""
    return int(getattr(function, "__self__", None) is None and "." in getattr(function, "__qualname__", ""))


def _path_names(function: Callable[..., object], last: int) -> frozenset[str]:
    """The names under which the path may be given."""
    try:
        parameters = list(inspect.signature(function).parameters.values())[: last + 1]
    except (TypeError, ValueError):
        return _PATH_NAMES
    if any(item.kind is item.VAR_POSITIONAL for item in parameters):
        return _PATH_NAMES
    names = frozenset(item.name for item in parameters)
    return names if isinstance(function, FunctionType | MethodType) else names | _PATH_NAMES


def _argument(
    value: object, kind: PathKind, context: PackageContext, function: Callable[..., object], *, first: bool
) -> object:
    if isinstance(value, bytes | bytearray) and (first or b"/" in value or b"." in value):
        raise context.violation(f"{_name(function)}: paths are str here, not bytes", _capability(kind))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview | range):
        # As an exact list: a class of remote code may hold something else next time.
        return [_argument(item, kind, context, function, first=first) for item in list(value)]
    if not isinstance(value, str | os.PathLike):
        if first and _names_descriptor(value, function):
            raise context.violation(f"{_name(function)}: a {type(value).__name__} for a path", _capability(kind))
        return value
    text = exact_path(value)
    if first or os.sep in text or text in (".", "..", "~"):
        _check(text, kind, context, function)
    return text if isinstance(value, str) else PurePath(text)


def _names_descriptor(value: object, function: Callable[..., object]) -> bool:
    """Whether native code would use a descriptor: a number, or an object of remote code that tells one."""
    if isinstance(value, int):
        return not isinstance(function, FunctionType | MethodType)
    return descends_from_own(type(value)) and hasattr(type(value), "fileno")


def _check(path: str | PurePath, kind: PathKind, context: PackageContext, function: Callable[..., object]) -> None:
    text = exact_path(path)
    if kind == "read-path" and text in context.repositories:
        return  # from_pretrained of the very repository that this code belongs to
    real = os.path.realpath(text)
    allowed = context.may_write(real) if kind == "write-path" else context.may_read(real)
    if not allowed:
        where = "a directory that you are saving to" if kind == "write-path" else "the model's own folder"
        raise context.violation(f"{_name(function)}: {real!r} is not inside {where}", _capability(kind))


def _capability(kind: PathKind) -> str:
    return "file-write" if kind == "write-path" else "file-read"


def _name(function: Callable[..., object]) -> str:
    return getattr(function, "__qualname__", type(function).__name__)
