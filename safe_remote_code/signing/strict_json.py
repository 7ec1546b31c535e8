"""JSON with one reading only.

Guarantee: text that two parsers could understand differently (duplicate keys, NaN, invalid UTF-8, a
byte order mark, base64 with stray characters or stray bits) is refused, so that what was checked is
what anybody else sees.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import NoReturn

from ..errors import SignatureError


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"the number {text:.20} is not an integer")


def read_object(data: bytes, subject: str, max_bytes: int) -> dict[str, object]:
    """The JSON object that `data` is.

    Raises:
        SignatureError: larger than `max_bytes`, not UTF-8, not one JSON object, a duplicate key, or a
            number that is not an integer.
    """
    if len(data) > max_bytes:
        raise SignatureError(f"larger than {max_bytes} bytes", subject=subject)
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_float=_no_number, parse_constant=_no_number
        )
    except (ValueError, RecursionError) as error:
        raise SignatureError(f"not strict JSON: {error}", subject=subject) from None
    if not isinstance(value, dict):
        raise SignatureError("not a JSON object", subject=subject)
    return value


def write_object(value: dict[str, object]) -> bytes:
    """The canonical bytes of `value`: sorted keys, no white space, UTF-8 (for text and integers: RFC 8785).

    Raises:
        ValueError: it holds a number that is not an integer, or a lone surrogate.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    json.loads(text, parse_float=_no_number)
    return text.encode("utf-8")


def text_of(value: dict[str, object], key: str, subject: str) -> str:
    """The string `value[key]`.

    Raises:
        SignatureError: absent, or not a string.
    """
    found = value.get(key)
    if not isinstance(found, str):
        raise SignatureError(f"{key!r} must be a string", subject=subject)
    return found


def integer_of(value: dict[str, object], key: str, subject: str) -> int:
    """The integer `value[key]`; true and false are none.

    Raises:
        SignatureError: absent, or not an integer.
    """
    found = value.get(key)
    if not isinstance(found, int) or isinstance(found, bool):
        raise SignatureError(f"{key!r} must be an integer", subject=subject)
    return found


def object_of(value: dict[str, object], key: str, subject: str) -> dict[str, object]:
    """The object `value[key]`.

    Raises:
        SignatureError: absent, or not an object.
    """
    found = value.get(key)
    if not isinstance(found, dict):
        raise SignatureError(f"{key!r} must be an object", subject=subject)
    return found


def list_of(value: dict[str, object], key: str, subject: str) -> list[object]:
    """The array `value[key]`.

    Raises:
        SignatureError: absent, or not an array.
    """
    found = value.get(key)
    if not isinstance(found, list):
        raise SignatureError(f"{key!r} must be an array", subject=subject)
    return found


def texts_of(value: dict[str, object], key: str, subject: str) -> tuple[str, ...]:
    """The array of strings `value[key]`.

    Raises:
        SignatureError: absent, not an array, or with something else in it.
    """
    texts = [item for item in list_of(value, key, subject) if isinstance(item, str)]
    if len(texts) != len(list_of(value, key, subject)):
        raise SignatureError(f"{key!r} must hold strings only", subject=subject)
    return tuple(texts)


def only_keys(value: dict[str, object], keys: frozenset[str], subject: str) -> None:
    """Refuse keys that a reader of this version would not understand.

    Raises:
        SignatureError: there is one.
    """
    unknown = sorted(set(value) - keys)
    if unknown:
        raise SignatureError(f"unknown key {unknown[0]!r:.60}", subject=subject)


def from_base64(text: str, subject: str) -> bytes:
    """The bytes of standard base64 with padding (RFC 4648, section 4), in its one canonical spelling.

    Raises:
        SignatureError: other characters, missing padding, or bits set that stand for nothing.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise SignatureError("not base64", subject=subject) from None
    if to_base64(data) != text:
        raise SignatureError("base64 that is not in its canonical spelling", subject=subject)
    return data


def to_base64(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")
