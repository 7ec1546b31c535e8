"""What was asked of the kernel and what it enforces: beside each other, for each mechanism.

Guarantee: a mechanism is called enforced only if its system call said so; what is missing is named.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, final

from .confinement import Mechanism

#: The whole process; the thread that asked, what it starts later, and no other; or nobody.
Threads = Literal["process", "calling thread", "none"]
_FORMAT: Final = 1


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MechanismStatus:
    """One mechanism. `missing` lists what was requested and is not enforced; `detail` is for people."""

    name: Mechanism
    requested: bool
    enforced: bool
    threads: Threads = "none"
    missing: tuple[str, ...] = ()
    detail: str = ""

    def __str__(self) -> str:
        if not self.requested:
            word = "not requested"
        elif not self.enforced:
            word = "NOT ENFORCED"
        else:
            word = "enforced" if not self.missing else "enforced in part"
        notes = [f"missing: {', '.join(self.missing)}"] if self.missing else []
        notes += [f"threads: {self.threads}"] if self.enforced else []
        notes += [self.detail] if self.detail else []
        return f"{self.name:<18} {word}" + (f" ({'; '.join(notes)})" if notes else "")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxStatus:
    """What holds in this process now. Children inherit all of it, and none can give any of it up."""

    kernel: str
    landlock_abi: int
    mechanisms: tuple[MechanismStatus, ...]

    def of(self, name: Mechanism) -> MechanismStatus:
        """The status of one mechanism."""
        return next(item for item in self.mechanisms if item.name == name)

    def holds(self, name: Mechanism) -> bool:
        """Whether `name` is enforced with nothing missing."""
        item = self.of(name)
        return item.enforced and not item.missing

    def text(self) -> str:
        """One line for each mechanism."""
        head = f"sandbox on Linux {self.kernel}, Landlock ABI {self.landlock_abi or 'none'}"
        return "\n".join([head, *(f"  {item}" for item in self.mechanisms)])

    def json(self) -> str:
        """The same for programs; `format` is the version of this shape."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, sort_keys=True)

    @staticmethod
    def parse(document: Mapping[str, Any]) -> SandboxStatus:
        """The status that `json` wrote; to be believed only if code of this package wrote it.

        Raises:
            ValueError: it is of another format.
        """
        if document.get("format") != _FORMAT:
            raise ValueError(f"a sandbox status of format {_FORMAT}")
        mechanisms = (MechanismStatus(**{**item, "missing": tuple(item["missing"])}) for item in document["mechanisms"])
        return SandboxStatus(
            kernel=document["kernel"], landlock_abi=document["landlock_abi"], mechanisms=tuple(mechanisms)
        )
