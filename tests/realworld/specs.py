"""What `repositories.toml` says, as values: pinned packages, helper libraries, and the repositories made of them.

Rules: every key is known (an unknown one is a typing error in the TOML and raises); every downloaded file has a
SHA-256. Nothing here knows a repository by name.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, final

DEFAULT_SPECS = Path(__file__).with_name("repositories.toml")
_T = TypeVar("_T")


@final
@dataclass(frozen=True, kw_only=True)
class Package:
    """One distribution file on the package index, fetched by hash and only unpacked."""

    name: str
    version: str
    sha256: list[str]


@final
@dataclass(frozen=True, kw_only=True)
class Library:
    """A real dependency of some repositories, installed into a folder of its own and put on their sys.path only.

    `operators`: schemas that its native part would have registered with torch, for wheels built for another device.
    """

    name: str
    version: str
    sha256: list[str]
    operators: list[str] = field(default_factory=list)


@final
@dataclass(frozen=True, kw_only=True)
class Repository:
    """One Hub-like repository to lay out, and how to exercise it."""

    name: str
    package: str = ""
    git: str = ""
    commit: str = ""
    files: list[str] = field(default_factory=list)
    own_files: dict[str, str] = field(default_factory=dict)
    replace: list[list[str]] = field(default_factory=list)
    vocabulary: str = ""
    libraries: list[str] = field(default_factory=list)
    analysis_only: str = ""
    runs_natively: list[str] = field(default_factory=list)
    why_not: str = ""
    auto_class: str = "AutoModelForCausalLM"
    config: dict[str, Any] = field(default_factory=dict)
    json_files: dict[str, dict[str, Any]] = field(default_factory=dict)
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    generate: dict[str, Any] | None = None
    tokenizer: str = ""
    forward: bool = True
    from_pretrained: bool = True

    def is_expected_under(self, version: str) -> bool:
        """Whether the table says that this repository runs natively under that transformers version."""
        return any(version == known or version.startswith(known + ".") for known in self.runs_natively)


@final
@dataclass(frozen=True, kw_only=True)
class Specs:
    """The whole table."""

    packages: dict[str, Package]
    libraries: dict[str, Library]
    repositories: dict[str, Repository]

    def select(self, names: list[str]) -> list[Repository]:
        """The repositories of those names, or all of them."""
        unknown = sorted(set(names) - set(self.repositories))
        if unknown:
            raise ValueError(f"no such repository in the table: {', '.join(unknown)}")
        return [self.repositories[name] for name in names or self.repositories]


def load(path: Path = DEFAULT_SPECS) -> Specs:
    """Read the table."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return Specs(
        packages=_table(Package, document.get("package", [])),
        libraries=_table(Library, document.get("library", [])),
        repositories=_table(Repository, document["repository"]),
    )


def _table(kind: type[_T], entries: list[dict[str, Any]]) -> dict[str, _T]:
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]  # each kind given is a dataclass
    table: dict[str, _T] = {}
    for entry in entries:
        unknown = sorted(set(entry) - known)
        if unknown or entry["name"] in table:
            raise ValueError(f"{kind.__name__} {entry.get('name')!r}: unknown keys {unknown}, or named twice")
        table[entry["name"]] = kind(**entry)
    return table
