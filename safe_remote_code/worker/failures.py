"""Errors of the child, raised again in the parent: only of kinds that are listed here, with visible words."""

from __future__ import annotations

import unicodedata
from typing import Any, Final

from .. import errors
from ..errors import PolicyError, RemoteCodeError, WorkerError, WorkerProtocolError
from ..finding import Finding
from .values import checked_keys, checked_text

#: What a forward or a tokenizer may raise. `AttributeError` makes `hasattr` of a proxy answer.
_BUILTIN: Final[dict[str, type[Exception]]] = {
    kind.__name__: kind
    for kind in (
        ArithmeticError, AttributeError, IndexError, KeyError, LookupError, MemoryError, NotImplementedError,
        OverflowError, RuntimeError, TypeError, UnicodeError, ValueError, ZeroDivisionError,
    )
}  # fmt: skip
#: Refusals of the walls inside the worker, and of the sandbox.
_OURS: Final[dict[str, type[RemoteCodeError]]] = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, RemoteCodeError) and not issubclass(kind, WorkerError)
}


def raised(body: Any, *, loading: bool) -> Exception:
    """The error that a `failure` speaks of. While `loading`, none that transformers would swallow.

    Raises:
        WorkerProtocolError: it speaks of none.
    """
    kind, message, subject, remedy, findings = checked_keys(body, "kind", "message", "subject", "remedy", "findings")
    name, words = checked_text(kind, 80), shown(checked_text(message))
    if name in _OURS:
        settings: dict[str, Any] = {"subject": shown(checked_text(subject)), "remedy": shown(checked_text(remedy))}
        if issubclass(_OURS[name], PolicyError):
            settings["findings"] = _findings(findings)
        return _OURS[name](words, **settings)
    if name in _BUILTIN and not loading:
        return _BUILTIN[name](words)
    return WorkerError(f"{shown(name)}: {words}", subject="worker")


def _findings(value: object) -> list[Finding]:
    if type(value) is not list:
        raise WorkerProtocolError("not a list of findings")
    return [_finding(item) for item in value]


def _finding(item: object) -> Finding:
    names = ("path", "line", "column", "rule", "message", "remedy", "capability", "name", "enforcement")
    values = dict(zip(names, checked_keys(item, *names), strict=True))
    texts = {name: shown(checked_text(values[name])) for name in names if name not in ("line", "column")}
    places = {name: values[name] for name in ("line", "column")}
    if any(type(place) is not int for place in places.values()):
        raise WorkerProtocolError("not a place")
    try:
        return Finding(**texts, **places)  # type: ignore[arg-type]  # Finding checks what it is given
    except ValueError:
        raise WorkerProtocolError("not a finding") from None


def shown(text: str) -> str:
    """`text` without characters that steer a terminal or hide."""
    return "".join(char if char in "\n\t" or unicodedata.category(char)[0] != "C" else "\ufffd" for char in text)
