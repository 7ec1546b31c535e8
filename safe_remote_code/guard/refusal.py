"""What no policy can grant: the error for it, and the names that nobody may spell."""

from __future__ import annotations

from typing import NoReturn

from ..errors import GuardViolationError
from ..grammar import refused_attribute, refused_attribute_store
from ..refusal_log import LOG


def refuse(what: str) -> NoReturn:
    """Record and raise that `what` is never granted.

    Raises:
        GuardViolationError: always.
    """
    raise LOG.record(GuardViolationError(what, remedy="this is never granted; remove it from the code"))


def check_name(name: object, *, store: bool = False) -> str:
    """`name` as an exact `str` that may be read (or stored to).

    Raises:
        TypeError: not exactly a `str`; a subclass can lie about what it is (RestrictedPython PR #282).
        GuardViolationError: no code may use this name.
    """
    if type(name) is not str:
        raise TypeError("attribute name must be exactly str")
    why = refused_attribute_store(name) if store else refused_attribute(name)
    if why:
        refuse(f"attribute {name!r} {why}")
    return name
