"""Tombstones: what remote code holds in the place of a name that it was not granted.

Real model code imports things that it hardly uses, and asks whether they are there. That is harmless, so
a tombstone may be looked at, tested and written in an annotation; every use raises, and is recorded.
"""

from __future__ import annotations

from typing import NoReturn, final

from ..capability import shipped_capabilities
from ..errors import GuardViolationError
from ..refusal_log import LOG
from .ownership import Sealed


@final
class Tombstone(Sealed):
    """Stands for a name that is not granted. Looking at it is harmless; using it raises."""

    __slots__ = ("__name__", "_source")

    def __init__(self, name: str, source: str) -> None:
        object.__setattr__(self, "__name__", name)
        object.__setattr__(self, "_source", source)

    def _used(self, *_arguments: object, **_keywords: object) -> NoReturn:
        name = object.__getattribute__(self, "__name__")
        sink = shipped_capabilities().sink(name)
        what = f"{name} is not granted" + (f" (capability {sink.capability}: {sink.why})" if sink else "")
        error = GuardViolationError(
            what, subject=object.__getattribute__(self, "_source"),
            remedy=f"grant {name!r} to this source in your policy (safe-remote-code policy suggest), if you trust it",
        )  # fmt: skip
        raise LOG.record(error, "tombstone")

    __call__ = __iter__ = __len__ = __getitem__ = __setitem__ = __contains__ = __enter__ = __exit__ = _used
    __instancecheck__ = __subclasscheck__ = __mro_entries__ = __setattr__ = __delattr__ = _used

    def __getattr__(self, name: str) -> Tombstone:
        if name.startswith("__"):
            raise AttributeError(name)
        return Tombstone(
            f"{object.__getattribute__(self, '__name__')}.{name}", object.__getattribute__(self, "_source")
        )

    def __bool__(self) -> bool:
        return True  # it is not None: `if module:` asks only that

    def __or__(self, other: object) -> Tombstone:
        return self  # an annotation such as `Image | None`

    __ror__ = __or__

    def __repr__(self) -> str:
        return f"<not granted: {object.__getattribute__(self, '__name__')}>"
