"""`type`, `__class__` and `type(x)` for remote code: no metaclass, no class that does more than its instance."""

from __future__ import annotations

import abc
import operator
import typing
from types import ModuleType
from typing import Final, final

from .ownership import Sealed
from .refusal import refuse
from .stand_ins import shown_class

_READERS: Final = frozenset([operator.attrgetter, operator.itemgetter, operator.methodcaller])
#: Classes of open files that objects of libraries keep: each opens another path, too.
_OPENERS: Final = frozenset(
    ["_io.FileIO", "zipfile.ZipFile", "tarfile.TarFile", "gzip.GzipFile", "bz2.BZ2File", "lzma.LZMAFile", "mmap.mmap",
     "socket.socket", "subprocess.Popen", "sqlite3.Connection"]
)  # fmt: skip
#: Of `scipy.stats.norm` and its like: `exec(self._parse_arg_template)` wherever one is made or copied.
_EXECUTING: Final = frozenset(
    ["scipy.stats._continuous_distns", "scipy.stats._discrete_distns", "scipy.stats._distn_infrastructure"]
)


def class_of(receiver: object) -> type:
    """`receiver.__class__`, unless it is a metaclass (whose call makes classes unseen)."""
    if isinstance(receiver, type | ModuleType):
        return _class_of_special(receiver)
    return _shown(receiver.__class__)


def type_of(receiver: object) -> type:
    """`type(receiver)`, unless it is a metaclass."""
    if isinstance(receiver, type | ModuleType):
        return _class_of_special(receiver)
    return _shown(type(receiver))


def _shown(cls: type) -> type:
    if cls.__module__ in _EXECUTING:
        refuse(f"the class {cls.__qualname__} of this object, which executes text of its instances")
    if f"{cls.__module__}.{cls.__name__}" in _OPENERS:
        refuse(f"the class {cls.__qualname__} of this object, which opens whatever it is given")
    if issubclass(cls, Sealed):  # its constructor takes what only we may give it
        refuse(f"the class {cls.__qualname__} of this object, which stands in for a library's")
    if cls.__module__ == "typing" and cls.__name__.startswith("_"):  # `copy` calls what an instance of one names
        refuse(f"the class {cls.__qualname__} of this object, which is typing's own")
    if cls in _READERS:  # `Path.drive.fget` is an attrgetter: its class would make others
        refuse(f"the class {cls.__qualname__} of this object, which reads attributes by computed name")
    return shown_class(cls)


def _class_of_special(receiver: object) -> type:
    if isinstance(receiver, type):
        refuse(f"the metaclass of {receiver.__qualname__} may not be reached")
    return ModuleType


class _TypeMeta(type):
    def __call__(cls, *arguments: object) -> type:
        if len(arguments) != 1:
            refuse("type() takes one argument here; write a class statement")
        return type_of(arguments[0])

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, type)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, type)


@final
class _Abstract(Sealed):
    """`abc.ABCMeta`, as remote code sees it: to be named in a class statement, and nothing else."""

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, abc.ABCMeta)


ABSTRACT: Final = _Abstract()


def metaclass(value: object) -> type:
    """The metaclass that a class statement names.

    Raises:
        GuardViolationError: any but `abc.ABCMeta`, which runs code of its own for every class below.
    """
    if value is not ABSTRACT:
        refuse("a class may not choose its metaclass, but for abc.ABCMeta")
    return abc.ABCMeta


@final
class GuardedType(metaclass=_TypeMeta):
    """`type`, as remote code sees it: one argument, no metaclass, usable in `isinstance`."""

    def __class_getitem__(cls, item: object) -> object:
        return typing.Type[item]  # noqa: UP006  # `type[item](...)` would call the real type

    def __init_subclass__(cls) -> None:
        refuse("a metaclass may not be defined")
