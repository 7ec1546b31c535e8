"""Stand-ins: what remote code gets in the place of a class that it may not call.

Guarantee: good for `isinstance`, annotations and comparison; neither called nor subclassed.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

from ..errors import GuardViolationError


class _StandInMeta(type):
    """A class that stands for another in questions about types."""

    def __call__(cls, *_arguments: object, **_keywords: object) -> NoReturn:
        raise GuardViolationError(f"{cls.__name__}() {_WHY[cls]}")

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _REAL[cls])

    def __subclasscheck__(cls, subclass: type) -> bool:
        return subclass is cls or issubclass(subclass, _REAL[cls])

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__") or cls in _OPAQUE:
            raise AttributeError(name)
        return getattr(_REAL[cls], name)


_REAL: Final[dict[type, type]] = {}
_STAND_INS: Final[dict[type, type]] = {}
_WHY: Final[dict[type, str]] = {}
#: Those that show no attribute of the real class.
_OPAQUE: Final[set[type]] = set()
_BUFFERS: Final = "takes a buffer as raw memory; use numpy.array, zeros, empty or asarray"


def _refuse_subclass(cls: type, **_: object) -> NoReturn:
    raise GuardViolationError("a subclass would have what its stand-in keeps away")


def stand_in(real: type, why: str = _BUFFERS, *, opaque: bool = False) -> type:
    """What remote code gets in the place of the class `real`; called, it says `why` not."""
    if real not in _STAND_INS:
        made = _StandInMeta(real.__name__, (), {"__module__": real.__module__, "__init_subclass__": _refuse_subclass,
                                                "__class_getitem__": classmethod(lambda cls, item: cls)})  # fmt: skip
        _REAL[made], _WHY[made] = real, why
        if opaque:
            _OPAQUE.add(made)
        _STAND_INS[real] = made
    return _STAND_INS[real]


def shown_class(cls: type) -> type:
    """`cls`, or the stand-in that remote code knows it by."""
    return _STAND_INS.get(cls, cls)


def real_class(cls: type) -> type:
    """The class that `cls` stands in for, or `cls` itself."""
    return _REAL.get(cls, cls)


def is_withheld(constructor: object) -> bool:
    """Whether `constructor` is the `__new__` of a class that remote code knows by its stand-in only.

    It may be reached through a subclass: `super(np.matrix, np.matrix).__new__`.
    """
    return getattr(constructor, "__self__", None) in _STAND_INS
