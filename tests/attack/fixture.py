"""An attack fixture: one hostile repository, described by one Python file.

The file *is* the remote module. Comment lines at its head say what it is:

    # technique: <flag>            equal to the file name without `.py`
    # class: <technique class>     row of the table that run.py prints
    # origin: <URL, advisory or "design">
    # stage: import|init|forward|generate|tokenize|save|getattr|exit
    # canary: file|read|world|port
    # walls: analysis,guard,...    walls that are expected to stop it alone
    # transformers: <version>      the oldest on which the technique exists, if that is not the oldest supported
    # world: <expression>          only for `world`; more lines, more expressions
    # file: <name> <- <base64>     a further file of the repository
    # file: <name> <- text:<text with Python escapes>
    # after-pin: <name> <- ...     the same, but written after the repository was pinned

`@@CANARY@@`, `@@SECRET@@`, `@@PORT@@` in the text and in further files are replaced by
the harness, so that no fixture has to read its environment.
"""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import final

STAGES = ("import", "init", "forward", "generate", "tokenize", "save", "getattr", "exit")
CANARIES = ("file", "read", "world", "port")
WALLS = ("identity", "analysis", "guard", "monitor")
MODULE = "modeling_escape.py"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Fixture:
    """A fixture whose header is complete and well formed."""

    technique: str
    family: str
    origin: str
    stage: str
    canary: str
    walls: tuple[str, ...]
    world: tuple[str, ...]
    files: tuple[tuple[str, bytes], ...]
    after_pin: tuple[tuple[str, bytes], ...]
    source: bytes
    transformers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise ValueError(f"{self.technique}: unknown stage {self.stage!r}")
        if self.canary not in CANARIES:
            raise ValueError(f"{self.technique}: unknown canary {self.canary!r}")
        if not self.walls or not set(self.walls) <= set(WALLS):
            raise ValueError(f"{self.technique}: unknown walls {self.walls!r}")
        if (self.canary == "world") != bool(self.world):
            raise ValueError(f"{self.technique}: `world:` lines belong to the world canary")


def exists_here(fixture: Fixture) -> bool:
    """Whether the installed transformers has what *fixture* attacks."""
    return tuple(int(part) for part in version("transformers").split(".")[:2]) >= fixture.transformers


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What the placeholders stand for in one throw-away folder."""

    canary: str
    secret: str
    port: int

    def fill(self, content: bytes) -> bytes:
        return (
            content.replace(b"@@CANARY@@", self.canary.encode())
            .replace(b"@@SECRET@@", self.secret.encode())
            .replace(b"@@PORT@@", str(self.port).encode())
        )


def read(path: Path) -> Fixture:
    """The fixture that the file at *path* describes."""
    source = path.read_bytes()
    header = _header(source.decode("utf-8", "replace"))
    one = {key: values[0] for key, values in header.items()}
    if one.get("technique") != path.stem:
        raise ValueError(f"{path}: `# technique:` must be {path.stem!r}")
    try:
        return Fixture(
            technique=one["technique"],
            family=one["class"],
            origin=one["origin"],
            stage=one["stage"],
            canary=one["canary"],
            walls=tuple(wall.strip() for wall in one["walls"].split(",")),
            world=tuple(header.get("world", ())),
            files=tuple(_file(line) for line in header.get("file", ())),
            after_pin=tuple(_file(line) for line in header.get("after-pin", ())),
            source=source,
            transformers=tuple(int(part) for part in one.get("transformers", "0").split(".")),
        )
    except KeyError as error:
        raise ValueError(f"{path}: header line {error} is missing") from error


def write(fixture: Fixture, repo: Path, tokens: Tokens, *, after_pin: bool) -> None:
    """Lays the repository down in *repo*; with the files of after the pin, or without."""
    for name, content in _repository(fixture).items():
        _put(repo / name, tokens.fill(content))
    if after_pin:
        for name, content in fixture.after_pin:
            _put(repo / name, tokens.fill(content))


def _header(text: str) -> dict[str, list[str]]:
    header: dict[str, list[str]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        key, colon, value = line[1:].partition(":")
        if colon:
            header.setdefault(key.strip(), []).append(value.strip())
    return header


def _file(line: str) -> tuple[str, bytes]:
    name, _, content = line.partition(" <- ")
    if content.startswith("text:"):
        escaped = content.removeprefix("text:").encode("latin-1", "backslashreplace")
        return name, escaped.decode("unicode_escape").encode("latin-1")
    return name, base64.b64decode(content, validate=True)


def _repository(fixture: Fixture) -> dict[str, bytes]:
    stem = MODULE.removesuffix(".py")
    config: dict[str, object] = {
        "model_type": "escape",
        "architectures": ["EscapeModel"],
        "auto_map": {
            "AutoConfig": f"{stem}.EscapeConfig",
            "AutoModel": f"{stem}.EscapeModel",
            "AutoModelForCausalLM": f"{stem}.EscapeModel",
        },
    }
    files = {
        MODULE: fixture.source,
        "config.json": _json(config),
        "model.safetensors": _weights(),
    }
    if b"class EscapeTokenizer" in fixture.source:
        files["tokenizer_config.json"] = _json(
            {
                "tokenizer_class": "EscapeTokenizer",
                "auto_map": {"AutoTokenizer": [f"{stem}.EscapeTokenizer", None]},
            }
        )
    return files | dict(fixture.files)


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


def _weights() -> bytes:
    """A safetensors file with one 4x4 matrix of zeros, written without the library."""
    data = bytes(4 * 4 * 4)
    table = {
        "__metadata__": {"format": "pt"},
        "proj.weight": {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, len(data)]},
    }
    text = json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text + data


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
