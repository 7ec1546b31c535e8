"""A use of a library name: the fact from which capabilities and grants are judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

When = Literal["import", "conditional", "call"]
How = Literal["import", "load", "call", "store"]


@final
@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Use:
    """One place where code spells a dotted name of a library (or `builtins.x`).

    `when` it runs: `import` (surely, at import), `conditional` (at import, but under `if`, `try`,
    `with` or a loop, or one of several meanings, or in a file that is imported so), `call` (inside a
    function). `how` it is used: bound by an import, read, called (as a function, a decorator or a base
    class), or assigned to.
    """

    path: str
    line: int
    column: int
    name: str
    when: When
    how: How
