"""What is put into libraries, and into remote classes, so that trusted code does not act for remote code.

A facade decides what remote code may ask for; the armour decides what a library may do when remote code asked it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ..ownership import share_kind
from . import caches, lookups
from .honesty import armour_wrappers, close_fields, watch_dataclasses
from .late import watch_imports
from .memory import armour_classes, prepare_memory
from .native import watch_native_readers
from .threads import watch_threads
from .withheld import withhold_methods

if TYPE_CHECKING:
    from types import ModuleType


def armour_libraries() -> None:
    """Armour what is loaded of the libraries by now."""
    watch_native_readers()
    withhold_methods()
    lookups.watch_lookups()
    caches.watch_caches()
    armour_classes()


def _loaded(module: ModuleType, looked_for: bool) -> None:
    caches.watch_module(module)
    if looked_for:
        armour_libraries()


def prepare() -> None:
    """Before remote code runs: armour the loaded libraries and what of Python itself acts for others."""
    armour_libraries()
    watch_imports(lookups.watch_module, _loaded)
    close_fields()
    watch_dataclasses()
    share_kind(type(threading.main_thread()))
    armour_wrappers()
    watch_threads()
    prepare_memory()
