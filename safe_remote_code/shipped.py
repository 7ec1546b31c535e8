"""Where the policy files that ship with the package lie."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped_path(name: str) -> Path:
    """The shipped document `name`: inside the wheel, or beside the package in a source checkout."""
    inside = _PACKAGE / "policies"
    return (inside if inside.is_dir() else _PACKAGE.parent / "policies") / name
