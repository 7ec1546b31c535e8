"""Reads what the two probes of one repository wrote, and says in one row whether the guarded run equals the native one.

Rules: a repository *loads natively* when config, model and every forward that it is asked for succeed natively; it is
*identical* when each step that succeeded natively succeeded under guard with an equal digest. A step that fails
natively is not held against the guard. A probe that wrote nothing (crash, time-out) counts as a failure of every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

_LOADING = ("config", "model")
_REFUSALS = ("RefusedError", "GuardViolationError")


@final
@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    expected: bool
    native: bool
    admitted: bool
    loaded: bool
    identical: bool
    why_not: str

    @property
    def is_failure(self) -> bool:
        """A repository that loads natively and is not identical, or that no longer loads natively as the table says."""
        return (self.native and not self.identical) or (self.expected and not self.native)


def differing(native: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The steps that succeeded natively and are not the same in `other`."""
    return [step for step in native if _succeeded(native, step) and native[step] != other.get(step)]


def row(
    name: str,
    expected: bool,
    native: dict[str, Any],
    guarded: dict[str, Any] | None,
    pin_error: str = "",
    unsettled: Sequence[str] = (),
) -> Row:
    """Compare; `guarded` is None when only the native side was run, `unsettled` steps differ natively as well.

    An unsettled step must still succeed under guard; only its digest is not compared.
    """
    loads = all(_succeeded(native, step) for step in (*_LOADING, *(step for step in native if step == "forward")))
    if guarded is None:
        return Row(
            name=name,
            expected=expected,
            native=loads,
            admitted=False,
            loaded=False,
            identical=loads,
            why_not=_first_error(native),
        )
    wrong = [step for step in differing(native, guarded) if step not in unsettled or not _succeeded(guarded, step)]
    loaded = all(_succeeded(guarded, step) for step in _LOADING)
    return Row(
        name=name,
        expected=expected,
        native=loads,
        admitted=not pin_error and not _was_refused(guarded),
        loaded=loaded,
        identical=loads and loaded and not wrong,
        why_not=pin_error or _describe(native, guarded, wrong, unsettled),
    )


def _succeeded(steps: dict[str, Any], step: str) -> bool:
    return "digest" in steps.get(step, {})


def _was_refused(steps: dict[str, Any]) -> bool:
    return any(kind in step.get("kinds", []) for step in steps.values() for kind in _REFUSALS)


def _first_error(steps: dict[str, Any]) -> str:
    """The error that kept it from loading, else the first of a later step."""
    for name in sorted(steps, key=lambda name: name not in (*_LOADING, "forward")):
        if "error" in steps[name]:
            return f"native {name}: {steps[name]['error']}"
    return ""


def _describe(native: dict[str, Any], guarded: dict[str, Any], wrong: list[str], unsettled: Sequence[str]) -> str:
    for step in wrong:
        return f"{step}: {guarded.get(step, {}).get('error', 'differs' if step in guarded else 'was not reached')}"
    if unsettled:
        return f"natively not deterministic: {', '.join(unsettled)}"
    return _first_error(native)
