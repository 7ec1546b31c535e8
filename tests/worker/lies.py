"""What a hostile worker may say: good messages, and every way of spoiling one, from a seeded generator."""

from __future__ import annotations

import json
import random
import struct
from typing import Any, Final

from safe_remote_code.worker.frames import MAGIC, frame

#: A good body of each kind of value; blobs are described beside them.
GOOD: Final[tuple[tuple[Any, list[Any]], ...]] = (
    (None, []),
    ([1, 2.5, "text", True, {"t": "float", "v": "nan"}], []),
    ({"t": "dict", "v": [["a", 1], [2, {"t": "tuple", "v": [1, 2]}]]}, []),
    ({"t": "tensor", "v": {"blob": 0, "device": "cpu"}}, [["float32", [2, 3], 0]]),
    ({"t": "tensor", "v": {"blob": 0, "device": "cpu"}}, [["bool", [5], 64]]),
    ({"t": "array", "v": {"blob": 0, "scalar": False}}, [["int64", [4], 0]]),
    ({"t": "bytes", "v": 0}, [["uint8", [7], 128]]),
    ({"t": "image", "v": {"mode": "RGB", "size": [2, 2], "blob": 0}}, [["uint8", [12], 0]]),
    ({"t": "dtype", "v": "bfloat16"}, []),
    ({"t": "device", "v": "cpu"}, []),
    ({"t": "encoding", "v": [["input_ids", [[1, 2]]]]}, []),
    ({"t": "output", "v": {"class": "CausalLMOutputWithPast", "items": [["logits", {"t": "tensor", "v": {"blob": 0, "device": "cpu"}}]]}}, [["float32", [1, 2], 0]]),
    ({"t": "object", "v": {"id": 3, "kind": "cache", "class": "DynamicCache"}}, []),
    ({"t": "config", "v": {"class": "C", "model_type": "c", "attribute_map": [], "attention": None, "items": [["hidden_size", 4]]}}, []),
    ({"t": "generation-config", "v": [["max_new_tokens", 4]]}, []),
)  # fmt: skip
#: What stands in the place of something good.
NASTY: Final[tuple[Any, ...]] = (
    None, True, -1, 0, 1, 2**31, 2**62, 2**63, 1e308, "", "x", "__class__", "to_dict", "\x1b[2J", "\ud800", "cuda:0",
    "object", "float32", [], [[]], {}, {"t": "tensor"}, {"t": "object", "v": 1}, [2**40] * 17, {"a": {"t": "x", "v": 0}},
    "../../etc/passwd", "A" * 5000, ["float32", [2**40, 2**40], 0], ["object", [1], 0], {"t": "dict", "v": [[[], 1]]},
)  # fmt: skip
_KINDS: Final = ("reply", "failure", "stream", "grow", "record", "request", "go-on", "arena", "", None, 7)
_FAILURE: Final[dict[str, Any]] = {
    "t": "dict", "v": [["kind", "ValueError"], ["message", "m"], ["subject", ""], ["remedy", ""], ["findings", []]],
}  # fmt: skip


class Liar:
    """An endless source of things to say as an answer to request `number`."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def bytes_for(self, number: int) -> bytes:
        """One utterance: a good one in ten, the others spoilt once or more."""
        choose = self.random.random()
        header = self._good(number)
        if choose < 0.1:
            return frame(header)
        if choose < 0.6:
            for _ in range(self.random.randint(1, 3)):
                header = self._spoilt(header)
            return _dumped(header)
        data = bytearray(_dumped(header))
        for _ in range(self.random.randint(1, 4)):
            self._spoil_bytes(data)
        return bytes(data)

    def _good(self, number: int) -> dict[str, Any]:
        body, blobs = self.random.choice(GOOD)
        if self.random.random() < 0.15:
            body, blobs = _FAILURE, []
        return {"kind": "failure" if body is _FAILURE else "reply", "id": number, "body": body, "blobs": blobs}

    def _spoilt(self, header: Any) -> Any:
        pick = self.random
        copy = json.loads(json.dumps(header))
        if not isinstance(copy, dict):
            return copy
        way = pick.randrange(6)
        if way == 0:
            copy["kind"] = pick.choice(_KINDS)
            if copy["kind"] == "grow":
                copy["body"] = pick.choice([1, 2**20, 2**21, 2**40, -1, "x"])
        elif way == 1:
            copy["id"] = pick.choice(NASTY)
        elif way == 2:
            copy.pop(pick.choice(list(copy)), None)
        elif way == 3:
            copy[pick.choice(["kind", "x", "", "id"])] = pick.choice(NASTY)
        else:
            places = list(_places(copy))
            holder, key = pick.choice(places)
            holder[key] = pick.choice(NASTY)
        return copy

    def _spoil_bytes(self, data: bytearray) -> None:
        pick = self.random
        place = pick.randrange(len(data)) if data else 0
        way = pick.randrange(6)
        if way == 0 and data:
            data[place] = pick.randrange(256)
        elif way == 1:
            del data[place:]
        elif way == 2:
            data[place:place] = pick.randbytes(pick.randint(1, 9))
        elif way == 3:
            data += bytes(data)
        elif way == 4:
            data[:8] = struct.pack(">4sI", MAGIC, pick.choice([0, 1, 2, len(data), 2**26, 2**32 - 1]))
        else:
            text = pick.choice([b'{"kind":"reply","kind":"reply"}', b"[" * 100_000, b'{"a":1e999}', b"NaN", b"9" * 50, b"\xff\xfe"])
            data[:] = struct.pack(">4sI", MAGIC, len(text)) + text


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield value, key
        yield from _places(item)


def _dumped(header: Any) -> bytes:
    text = json.dumps(header).encode("ascii", "replace")
    return struct.pack(">4sI", MAGIC, len(text)) + text
