"""Attribute access that must know the receiver: one resolver for every read and write.

`getattr`, `setattr`, `hasattr`, `delattr`, the rewritten loads of sensitive names, the wrappers of
`__getattribute__` and its kin, and format strings all end here (KNOWN_ESCAPES: every reflective
builtin goes through the same guard as the dot).
"""

from __future__ import annotations

import copy
import inspect
import sys
from types import (
    BuiltinFunctionType,
    CodeType,
    FrameType,
    FunctionType,
    MappingProxyType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    TracebackType,
)
from typing import TYPE_CHECKING, Final, final

from ..capability import shipped_capabilities
from ..grammar import CHECKED, is_dunder, refused_attribute
from . import by_hand, ownership
from .facade import Facade
from .formats import checked_format
from .kinds import class_of
from .mediated.calls import mediated_call, stored
from .mediated.registries import guarded_register
from .ownership import context_of_globals, definer, owns_callable, owns_class
from .receivers import FORWARDERS, behind, is_forwarded, is_of_class, is_one_of
from .refusal import check_name, refuse
from .writes import write, write_namespace

if TYPE_CHECKING:
    from collections.abc import Callable

    from .context import PackageContext

_MISSING: Final = object()
_OPAQUE: Final = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, FrameType, CodeType, TracebackType)


@final
class Attributes:
    """The attribute functions of one package."""

    def __init__(self, context: PackageContext) -> None:
        self._context = context
        self._sensitive = shipped_capabilities().attributes

    # -- the builtins ---------------------------------------------------------------------------

    def builtins(self) -> dict[str, Callable[..., object]]:
        """Checked `getattr`, `hasattr`, `setattr`, `delattr`, `vars` and `locals`."""
        load, plain, context = self.load, self._is_plain, self._context

        def guarded_getattr(receiver: object, name: str, default: object = _MISSING) -> object:
            if plain(name):
                return getattr(receiver, name) if default is _MISSING else getattr(receiver, name, default)
            try:
                return load(receiver, name)
            except AttributeError:
                if default is _MISSING:
                    raise
                return default

        def guarded_hasattr(receiver: object, name: str) -> bool:
            if type(name) is not str:
                raise TypeError("attribute name must be exactly str")
            return hasattr(receiver, name)

        def guarded_setattr(receiver: object, name: str, value: object) -> None:
            key = check_name(name, store=True)
            target = write_namespace(receiver) if key == "__dict__" else write(receiver)
            setattr(target, key, stored(key, value, context))

        def guarded_delattr(receiver: object, name: str) -> None:
            key = check_name(name, store=True)
            delattr(write_namespace(receiver) if key == "__dict__" else write(receiver), key)

        def guarded_locals() -> dict[str, object]:
            return _variables(sys._getframe(1))

        def guarded_vars(*objects: object) -> object:
            if not objects:
                return _variables(sys._getframe(1))
            if len(objects) != 1:
                raise TypeError(f"vars expected at most 1 argument, got {len(objects)}")
            try:
                return load(objects[0], "__dict__")
            except AttributeError:
                raise TypeError("vars() argument must have __dict__ attribute") from None

        return {
            "locals": guarded_locals,
            "vars": guarded_vars,
            "getattr": guarded_getattr,
            "hasattr": guarded_hasattr,
            "setattr": guarded_setattr,
            "delattr": guarded_delattr,
        }

    def _is_plain(self, name: object) -> bool:
        check_name(name)
        return name not in CHECKED and name not in self._sensitive

    # -- loads of sensitive names ---------------------------------------------------------------

    def load(self, receiver: object, name: str) -> object:
        """`receiver.name` for any name, under all rules.

        Raises:
            GuardViolationError: not granted.
            AttributeError: there is no such attribute.
        """
        check_name(name)
        if name in CHECKED:
            return self._load_checked(receiver, name)
        if name in self._sensitive and not isinstance(receiver, Facade):
            return self._load_sensitive(receiver, name)
        return getattr(receiver, name)

    def _load_checked(self, receiver: object, name: str) -> object:
        if name == "__class__":
            return class_of(receiver)
        if issubclass(type(receiver), FORWARDERS):
            target = behind(receiver)
            if target is receiver:
                refuse(f"{name} of a weak reference, which speaks for another object")
            return self._load_checked(target, name)
        if name in ("format", "format_map"):
            return self._formatter(receiver, name)
        if name == "obj":
            if isinstance(receiver, BaseException):
                refuse("exceptions do not hand out the object that they failed on (CVE-2024-47532)")
            return getattr(receiver, name)
        if name == "__dict__":
            return self._namespace(receiver)
        if name == "__annotations__":
            return by_hand.annotated(receiver)
        if name == "__members__":  # else an operator of remote code is handed the mapping behind the view
            return _viewed(getattr(receiver, name))
        if name == "__get__":
            return by_hand.binder(receiver)
        value = getattr(receiver, name)
        if owns_callable(value) or isinstance(receiver, Facade):
            return value
        if name in ("__enter__", "__exit__"):
            refuse(f"{name} of a library's context: what it opens, a with statement closes")
        if name in ("__init__", "__post_init__"):
            return by_hand.initializer(receiver, value)
        if name in ("__setitem__", "__delitem__"):
            return by_hand.of_instance(receiver, value)
        if name == "register":
            return guarded_register(receiver, value, self._context) if callable(value) else value
        if name in ("__getattr__", "__getattribute__"):
            return self._reader(receiver, value)
        if name in ("__setattr__", "__delattr__"):
            return by_hand.writer(receiver, value, 3 if name == "__setattr__" else 2, self._context)
        if name == "__new__":
            return by_hand.constructor(value)
        if name == "__init_subclass__":
            return by_hand.of_own_class(value)
        return by_hand.of_own_instance(receiver, value, name)

    def _load_sensitive(self, receiver: object, name: str) -> object:
        entry = self._sensitive[name]
        value = getattr(receiver, name)
        if entry.kind == "instance" and not isinstance(receiver, (type, super, *FORWARDERS)):
            return value  # first, and in words that torch.compile understands: `past_key_values.update(...)`
        if entry.capability in self._context.granted.capabilities:
            return value
        forwarded = is_forwarded(receiver, name)
        if entry.receivers and not forwarded and not is_one_of(receiver, entry.receivers):
            return value
        if entry.kind == "instance":
            return by_hand.of_instance(receiver, value)
        if not forwarded and self._is_own(receiver, name, held=bool(entry.receivers)):
            # What remote code made, it may hold; but a saving method of its own, when remote code
            # calls it, is not a call by the user and opens no folder for writing.
            return (
                mediated_call(value, None, self._context) if entry.kind == "write-path" and callable(value) else value
            )
        if isinstance(value, int | float | str | bytes | bool | type(None)):
            return value
        if isinstance(value, MappingProxyType):
            return _viewed(value)
        if entry.kind == "copy":
            return copy.deepcopy(value) if entry.receivers or is_of_class(receiver, name, value) else value
        if entry.kind == "refused" or not callable(value):
            kind = getattr(receiver, "__qualname__", type(receiver).__qualname__)
            what = f"{name} of {kind} is not granted ({entry.why})"
            raise self._context.violation(what, entry.capability, name)
        return mediated_call(value, entry.kind, self._context, behind(receiver))

    def _is_own(self, receiver: object, name: str, *, held: bool) -> bool:
        """Whether `receiver.name` is something that the remote code itself put there.

        `held`: instances of a library's class keep it, so an instance of a subclass has it from there.
        """
        if isinstance(receiver, super):
            return False
        kind = receiver if isinstance(receiver, type) else type(receiver)
        home = definer(kind, name)
        return owns_class(kind) and not held if home is None else owns_class(home)

    def _namespace(self, receiver: object) -> object:
        if isinstance(receiver, _OPAQUE):
            refuse(f"the namespace of a {type(receiver).__name__} may not be reached")
        namespace = receiver.__dict__
        if ownership.is_finished(type(receiver)):
            return namespace
        return {
            name: value
            for name, value in namespace.items()
            if type(name) is str and name not in self._sensitive and not refused_attribute(name)
        }

    def _reader(self, receiver: object, value: Callable[..., object]) -> Callable[..., object]:
        load = self.load

        def read(*arguments: object) -> object:
            target = by_hand.receiver_of(receiver, value, arguments, 2)
            name = arguments[-1]
            if type(name) is not str:
                raise TypeError("attribute name must be exactly str")
            if is_dunder(name) or name in CHECKED or name in self._sensitive:
                return load(target, name)
            if not owns_class(type(behind(target))):  # its own instance has what it has
                check_name(name)
            return value(*arguments)

        return read

    def _formatter(self, receiver: object, name: str) -> object:
        """`receiver.format`, which checks its text if it turns out to be that of `str`, whoever it was asked of."""
        value = getattr(receiver, name)
        if isinstance(value, BuiltinFunctionType) and isinstance(value.__self__, str):
            text = str.__str__(value.__self__)
            return checked_format(getattr(text, name), text)
        if isinstance(value, MethodDescriptorType) and issubclass(value.__objclass__, str):
            return checked_format(getattr(str, name), None)
        return value


def _variables(frame: FrameType) -> dict[str, object]:
    """A copy of what the variables of `frame` hold, a function of remote code (Python 3.13 copies as well: PEP 667)."""
    if context_of_globals(id(frame.f_globals)) is None or not frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        refuse("locals() anywhere but in a function of remote code")
    return {name: value for name, value in frame.f_locals.items() if name.isidentifier()}


def _viewed(value: object) -> object:
    """A view of a copy: `proxy | x` and `proxy == x` hand the mapping itself to a method of `x`."""
    return MappingProxyType(dict(value)) if isinstance(value, MappingProxyType) else value
