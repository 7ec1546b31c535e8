"""What SARIF 2.1.0 requires of the parts that we write, from sections 3.13 to 3.30 of the standard.

Closed (`additionalProperties: false`), so that a misspelt property fails.
"""

from __future__ import annotations

from typing import Any, Final


def _closed(required: list[str], /, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


_MESSAGE: Final = _closed(["text"], text={"type": "string", "minLength": 1})
_REGION: Final = _closed(
    ["startLine", "startColumn"],
    startLine={"type": "integer", "minimum": 1},
    startColumn={"type": "integer", "minimum": 1},
)
_PLACE: Final = _closed(
    ["artifactLocation"],
    artifactLocation=_closed(["uri"], uri={"type": "string", "pattern": r"^[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+$"}),
    region=_REGION,
)
_RULE: Final = _closed(
    ["id", "help"], id={"type": "string", "pattern": "^[a-z-]+$"}, shortDescription=_MESSAGE, fullDescription=_MESSAGE,
    help=_MESSAGE,
)  # fmt: skip
_RESULT: Final = _closed(
    ["message", "ruleId", "level", "locations"],
    ruleId={"type": "string"},
    ruleIndex={"type": "integer", "minimum": 0},
    level={"enum": ["none", "note", "warning", "error"]},
    message=_MESSAGE,
    locations={"type": "array", "minItems": 1, "items": _closed(["physicalLocation"], physicalLocation=_PLACE)},
    properties={"type": "object"},
)
_DRIVER: Final = _closed(
    ["name"], name={"type": "string"}, semanticVersion={"type": "string"},
    rules={"type": "array", "uniqueItems": True, "items": _RULE},
)  # fmt: skip
_RUN: Final = _closed(
    ["tool", "results"],
    tool=_closed(["driver"], driver=_DRIVER),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    properties={"type": "object"},
    results={"type": "array", "items": _RESULT},
)
SARIF_SHAPE: Final = _closed(
    ["version", "runs"],
    **{"$schema": {"type": "string"}, "version": {"const": "2.1.0"}, "runs": {"type": "array", "items": _RUN}},
)
