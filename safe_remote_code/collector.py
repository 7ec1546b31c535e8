"""The cyclic garbage collector, held back while a package is loaded.

Loading makes many objects that stay: syntax trees for a moment, and the modules of torch and transformers that
remote code imports for good. Each full collection meanwhile walks all of torch's objects and frees nothing; over
a first load that is about a fifth of its time. So, once, would the collection of the young that comes when the
collector is let go again; what so large a load leaves is taken for old instead. How much a load can allocate is
bounded by `limits.py`, as far as it is ours.

It does not: keep memory from being freed by reference count, nor collect when it is done: the cycles that a load
leaves behind go with the next full collection.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Objects that a load must leave to be a first load, which imports much; a later one leaves some hundreds.
_MANY: Final = 50_000
#: Python 3.12 itself starts with some hundreds of frozen objects; a program that freezes has many thousands.
_OF_PYTHON: Final = 1_000


@contextmanager
def paused() -> Iterator[None]:
    """No automatic collection in the `with` block; if there was none before, there is none after it either."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            if gc.get_count()[0] > _MANY and gc.get_freeze_count() < _OF_PYTHON:  # else a program's own would be undone
                gc.freeze()  # moves every object, without a walk, and `unfreeze` moves them on to the oldest generation
                gc.unfreeze()
            gc.enable()
