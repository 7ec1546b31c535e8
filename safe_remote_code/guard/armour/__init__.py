"""What is put into libraries, and into remote classes, so that trusted code does not act for remote code.

A facade decides what remote code may ask for; the armour decides what a library may do when remote code asked it.
"""

from __future__ import annotations

import threading

from ..ownership import share_kind
from .honesty import armour_wrappers, close_fields, watch_dataclasses
from .late import watch_imports, watch_modules
from .memory import armour_classes, prepare_memory
from .native import watch_native_readers
from .threads import watch_threads
from .withheld import withhold_methods


def armour_libraries() -> None:
    """Armour what is loaded of the libraries by now."""
    watch_native_readers()
    withhold_methods()
    watch_modules()
    armour_classes()


def prepare() -> None:
    """Before remote code runs: armour the loaded libraries and what of Python itself acts for others."""
    armour_libraries()
    watch_imports(armour_libraries)
    close_fields()
    watch_dataclasses()
    share_kind(type(threading.main_thread()))
    armour_wrappers()
    watch_threads()
    prepare_memory()
