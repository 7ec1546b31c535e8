"""What objects of remote classes may say of themselves to trusted code, which believes it.

`copy`, `functools.wraps`, `dataclass` and `yaml` ask an object for special attributes, write to what a constructor
gave back, and execute names. So a remote class answers for no special name, makes instances of remote classes only,
and what it says is not copied onto anything real.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import sys
from types import FunctionType, MemberDescriptorType
from typing import TYPE_CHECKING, Any, NoReturn, final

from ...capability import shipped_capabilities
from ...errors import GuardViolationError
from ...grammar import CHECKED, INTROSPECTION, KERNELS, is_dunder, refused_kernels
from ..ownership import definer, descends_from_own, is_remote_globals, owns_class, register_class, share_kind
from ..receivers import loaded_classes
from ..shown import TABLES, copied

if TYPE_CHECKING:
    from collections.abc import Iterable


def armour_readers(cls: type) -> None:
    """Let the `__getattr__` and `__getattribute__` that remote class `cls` defines not answer for special names.

    Trusted code believes `__class__`, `__annotations__`, `__wrapped__` or `__reduce_ex__` of any object; Python itself
    asks the class for the others, such as `__len__`.
    """
    for name in ("__getattr__", "__getattribute__"):
        if name in cls.__dict__:
            keep_from_special(cls, name)


def keep_from_special(cls: type, name: str) -> None:
    """Let `__getattr__` or `__getattribute__`, as `name` says, of class `cls` not answer for special names."""
    reader = cls.__dict__[name]
    if not getattr(reader, "_keeps_from_special", False):
        type.__setattr__(cls, name, _not_for_special(cls, name, reader))


def _not_for_special(cls: Any, which: str, reader: Any) -> Any:
    def read(self: object, name: str) -> object:
        if name[:2] == "__" and name[-2:] == "__":
            if which == "__getattr__":
                raise AttributeError(name)
            return super(cls, self).__getattribute__(name)
        if isinstance(reader, FunctionType):
            return reader(self, name)
        return reader.__get__(self, type(self))(name)  # `__getattr__ = dict.get`, a partialmethod, a staticmethod

    if isinstance(reader, FunctionType):
        functools.update_wrapper(read, reader)
    read._keeps_from_special = True  # type: ignore[attr-defined]  # ours
    return read


def armour_equality(cls: Any) -> None:
    """Let an instance of remote class `cls` be equal to what its own `__eq__` says for remote code alone.

    Caches and registries of the whole process (`re`, `functools.lru_cache`, mappings of classes) answer whoever has the
    hash of a key and is equal to it. Library code that compares such an object with one that is not remote sees what
    the class was derived from: an exact text, a number, an object that is equal to itself.
    """
    home: Any = definer(cls, "__eq__")
    if home is None or not owns_class(home) or cls.__hash__ is None:  # what has no hash is no key
        return
    own: Any = home.__dict__["__eq__"]
    if getattr(own, "_armoured", False):
        return

    def __eq__(self: object, other: object) -> Any:
        asked_by_its_own = is_remote_globals(id(sys._getframe(1).f_globals)) or descends_from_own(type(other))
        if not asked_by_its_own:
            return super(home, self).__eq__(other)
        return own.__get__(self, type(self))(other) if hasattr(type(own), "__get__") else own(other)

    __eq__._armoured = True  # type: ignore[attr-defined]  # ours
    type.__setattr__(cls, "__eq__", functools.wraps(own)(__eq__) if isinstance(own, FunctionType) else __eq__)


@final
class _Fixed:
    """A data descriptor: the attribute is what its class says, whatever the instance holds."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __get__(self, instance: object, owner: type | None = None) -> object:
        return self._value

    def __set__(self, instance: object, value: object) -> NoReturn:
        raise GuardViolationError(f"{KERNELS} of an instance may not be set")


def fix_kernels(cls: Any) -> None:
    """The native kernels that remote class `cls` lists are looked at once, and stay the same.

    Raises:
        GuardViolationError: it lists others than those of kernels-community.
    """
    home = definer(cls, KERNELS)
    if home is None or isinstance(home.__dict__[KERNELS], _Fixed):
        return
    names = getattr(cls, KERNELS)
    if why := refused_kernels(names):
        raise GuardViolationError(f"{cls.__qualname__} {why}")
    type.__setattr__(cls, KERNELS, _Fixed(None if names is None else tuple(names)))


def is_honest_member(value: object) -> bool:
    """Whether `value` is a member of an enumeration that says what it is itself."""
    kind = type(value)
    said = (definer(kind, name) for name in ("__str__", "__repr__", "__format__", "name", "_name_"))
    if not isinstance(value, enum.Enum) or any(cls is not None and owns_class(cls) for cls in said):
        return False
    return type(value._name_) is str and value._name_.isidentifier()


def refuse_special_slots(cls: type) -> None:
    """`__slots__` may not make an attribute of a special name, which copying would fill.

    Raises:
        GuardViolationError: it does.
    """
    for name, value in cls.__dict__.items():
        if is_dunder(name) and type(value) is MemberDescriptorType:
            raise GuardViolationError(f"slot {name} of {cls.__qualname__} would choose what runs when this is copied")


def fix_slots(cls: Any) -> None:
    """The `__slots__` of remote class `cls` stay what they were when it was made: copying reads what they name."""
    named = cls.__dict__.get("__slots__", "")
    if type(named) is not str:
        type.__setattr__(cls, "__slots__", tuple(str.__str__(name) for name in named if isinstance(name, str)))


def refuse_telling_fields(cls: type, names: Iterable[object]) -> None:
    """`dataclass` reads what fields are named after, of the class and of its instances, and hands it to other methods.

    Raises:
        GuardViolationError: a field of remote class `cls` has a special name, or that of an attribute of a library's
            class which code may not simply read.
    """
    attributes = shipped_capabilities().attributes
    for name in names:
        if type(name) is not str or is_dunder(name) or name in INTROSPECTION:
            raise GuardViolationError(f"field {name!r:.60} of {cls.__qualname__}")
        if name not in CHECKED and name not in attributes:
            continue
        home = definer(cls, name)
        receivers = attributes[name].receivers if name in attributes else ()
        if not owns_class(home) if home is not None else issubclass(cls, loaded_classes(receivers)):
            raise GuardViolationError(f"field {name} of {cls.__qualname__} would tell what a library keeps there")


def inherited_fields(cls: type) -> list[str]:
    """The fields that remote classes above `cls` have as data classes: a library's class may stand beside them."""
    own = [base.__dict__ for base in cls.__mro__[1:] if owns_class(base) and "__dataclass_fields__" in base.__dict__]
    return [name for namespace in own for name in namespace.get("__annotations__", ())]


def watch_dataclasses() -> None:
    """Ask about the fields of a remote class when it becomes a data class."""
    real: Any = dataclasses._process_class  # type: ignore[attr-defined]  # what `dataclass` is
    if getattr(real, "_checked", False):
        return

    @functools.wraps(real)
    def _process_class(cls: type, *arguments: Any, **keywords: Any) -> Any:
        if not descends_from_own(cls):
            return real(cls, *arguments, **keywords)
        refuse_telling_fields(cls, cls.__dict__.get("__annotations__", ()))
        made: Any = real(cls, *arguments, **keywords)
        if made is not cls:  # with slots it is another one, made of what the first one has
            register_class(made)
            refuse_special_slots(made)
            fix_slots(made)
        return made

    _process_class._checked = True  # type: ignore[attr-defined]  # ours
    dataclasses._process_class = _process_class  # type: ignore[attr-defined]  # the same


def armour_attribute_map(cls: Any) -> None:
    """A configuration's `attribute_map` renames what is asked of it: no special name, and no table of all instances."""
    reader = cls.__dict__.get("__getattribute__")
    if reader is None or getattr(reader, "_checked", False):
        return

    @functools.wraps(reader)
    def __getattribute__(self: object, key: str) -> Any:
        if key[:2] == "__":
            return super(cls, self).__getattribute__(key)
        value = reader(self, key)
        return value if type(value) not in TABLES else _private(self, key, value)

    __getattribute__._checked = True  # type: ignore[attr-defined]  # ours
    type.__setattr__(cls, "__getattribute__", __getattribute__)


def _private(config: object, key: str, value: Any) -> Any:
    """`value`, or a copy: of what was found under another name than `key`, and the configuration does not hold."""
    held: dict[str, object] = object.__getattribute__(config, "__dict__")
    if key in held or definer(type(config), key) is not None or any(value is own for own in held.values()):
        return value
    return copied(value)


def refuse_half_contexts(cls: type) -> None:
    """A library's `__enter__` with an `__exit__` of remote code would never close what it opens.

    Raises:
        GuardViolationError: one of the two is remote code, the other a library's that does something.
    """
    enter, leave = definer(cls, "__enter__"), definer(cls, "__exit__")
    if enter is None or leave is None or "contextlib" in (enter.__module__, leave.__module__):
        return
    if owns_class(enter) != owns_class(leave):
        raise GuardViolationError(
            f"{cls.__qualname__} opens what a library opens and does not close it, or the reverse"
        )


def armour_constructor(cls: type) -> None:
    """Let the `__new__` that remote class `cls` defines make instances of it, or of another remote class, only.

    Who calls a class writes to what comes back: `copy` and `yaml` its state, `from_dict` its fields.
    """
    if (made := cls.__dict__.get("__new__")) is not None:
        type.__setattr__(cls, "__new__", staticmethod(honest_constructor(made)))


def honest_constructor(made: Any) -> Any:
    """`__new__` that gives nothing but instances of the class that it was asked for, or of another remote class."""
    function = made.__func__ if isinstance(made, staticmethod) else made

    @functools.wraps(function)
    def __new__(kind: Any, *arguments: object, **keywords: object) -> object:
        result = function(kind, *arguments, **keywords)
        if not issubclass(type(result), kind) and not owns_class(type(result)):
            raise GuardViolationError(f"__new__ of {kind.__qualname__} gave a {type(result).__qualname__}")
        return result

    return __new__


def _refuse_field(cls: type, /, **_: object) -> NoReturn:
    raise GuardViolationError("a subclass of dataclasses.Field would choose the text that `dataclass` executes")


def close_fields() -> None:
    """The name of a field becomes text that `dataclass` executes: nobody may write it, or make a class that says it."""
    share_kind(dataclasses.Field)
    if "__init_subclass__" not in dataclasses.Field.__dict__:
        type.__setattr__(dataclasses.Field, "__init_subclass__", classmethod(_refuse_field))


def armour_wrappers() -> None:
    """`functools.update_wrapper` copies what an object says of itself onto a real function, which is then believed.

    Of an instance of a remote class it takes exact texts alone. Library decorators (`lru_cache`, `contextmanager`,
    `torch.no_grad`) end here.
    """
    real = functools.update_wrapper
    if getattr(real, "_checked", False):
        return

    @functools.wraps(real)
    def update_wrapper(wrapper: Any, wrapped: Any, *arguments: Any, **keywords: Any) -> Any:
        if not descends_from_own(type(wrapped)):
            return real(wrapper, wrapped, *arguments, **keywords)
        for name in ("__module__", "__name__", "__qualname__", "__doc__"):
            if type(text := getattr(wrapped, name, None)) is str:
                setattr(wrapper, name, text)
        return wrapper

    update_wrapper._checked = True  # type: ignore[attr-defined]  # ours
    functools.update_wrapper = update_wrapper
