"""A finding: one reason, at one place, with one remedy.

`enforcement` says who acts on it:

* ``refuse``: the file is not admitted;
* ``guard``: the guard stops it at run time (a tombstone, a checked attribute), so that code which
  merely contains it may load. With the guard switched off, such a finding refuses as well;
* ``note``: for the reader of a report only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

Enforcement = Literal["refuse", "guard", "note"]
_ENFORCEMENTS = ("refuse", "guard", "note")


@final
@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """One reason. `line` counts from 1, `column` from 1 (as editors and SARIF do)."""

    path: str
    line: int
    column: int
    rule: str
    message: str
    remedy: str = ""
    capability: str = ""
    name: str = ""
    enforcement: Enforcement = "refuse"

    def __post_init__(self) -> None:
        if self.enforcement not in _ENFORCEMENTS:
            raise ValueError(f"unknown enforcement {self.enforcement!r}")
        if self.line < 1 or self.column < 1:
            raise ValueError("line and column count from 1")

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.rule}: {self.message}"
