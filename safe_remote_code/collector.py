"""The cyclic garbage collector, held back while a package is loaded.

Loading makes many objects that stay: syntax trees for a moment, and the modules of torch and transformers that
remote code imports for good. Each full collection meanwhile walks all of torch's objects and frees nothing; over
a first load that is about a fifth of its time. How much a load can allocate is bounded by `limits.py`, as far as it
is ours.

It does not: keep memory from being freed by reference count, nor collect when it is done.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def paused() -> Iterator[None]:
    """No automatic collection in the `with` block; if there was none before, there is none after it either."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
