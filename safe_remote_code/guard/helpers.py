"""Names of the guard's helpers inside guarded code.

Each holds a space, so no source text can spell, bind or shadow it (CVE-2026-55830: a parameter
named like a guard hook).
"""

from __future__ import annotations

from typing import Final

IMPORT: Final = "guard import"
IMPORT_FROM: Final = "guard import from"
IMPORT_STAR: Final = "guard import star"
ATTRIBUTE: Final = "guard attribute"
CLASS_OF: Final = "guard class of"
TYPE_OF: Final = "guard type of"
WRITE: Final = "guard write"
WRITE_NAMESPACE: Final = "guard write namespace"
ANNOTATION: Final = "guard annotation"
STORED: Final = "guard stored"
METACLASS: Final = "guard metaclass"
HELD_OPEN: Final = "guard held open"
#: Of the form of a special name: `enum` takes it for no member.
CLASS_MARKER: Final = "__guard class marker__"
FINISH_CLASS: Final = "guard finish class"
GETATTR: Final = "guard plain getattr"
HASATTR: Final = "guard plain hasattr"
SETATTR: Final = "guard plain setattr"
