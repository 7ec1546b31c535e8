"""Which classes of a repository its own JSON files offer: `auto_map`, pipelines, custom_generate.

JSON of a repository is data that names code; it never grants anything.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from ..errors import MissingFileError, RefusedError
from ..limits import MAX_FILE_BYTES, MAX_JSON_BYTES
from ..syntax import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..snapshot import Snapshot
    from .source import Source

#: Every file in which transformers looks for `auto_map` or `custom_pipelines`.
CONFIG_FILES: Final = (
    "config.json",
    "tokenizer_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
)
CUSTOM_GENERATE: Final = "custom_generate/generate.py"


def read_configs(source: Source) -> dict[str, object]:
    """The JSON documents of the repository, by file name; absent ones are left out.

    Raises:
        RefusedError: one is not JSON, or too large.
    """
    documents: dict[str, object] = {}
    for name in CONFIG_FILES:
        try:
            documents[name] = json.loads(source.read(name, MAX_JSON_BYTES))
        except MissingFileError:
            continue
        except (ValueError, RecursionError) as error:
            raise RefusedError(f"not JSON: {error}", subject=f"{source.repo}/{name}") from None
    return documents


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A class reference (`[repo--]module.Class`) of the repository's JSON: `key` of `document` holds it."""

    reference: str
    document: str
    key: str

    @property
    def path(self) -> str | None:
        """The file of this repository that it means; None if it names another repository."""
        return None if "--" in self.reference else f"{self.reference.rpartition('.')[0]}.py"

    def __str__(self) -> str:
        return f"{self.document} ({self.key})"


def _offers(document: object, name: str, prefix: str = "") -> Iterator[Offer]:
    if not isinstance(document, dict):
        return
    auto_map = document.get("auto_map")
    if isinstance(auto_map, list | tuple):  # tokenizers of old had [slow, fast]
        auto_map = {"AutoTokenizer": auto_map}
    values = [(f"auto_map.{key}", value) for key, value in auto_map.items()] if isinstance(auto_map, dict) else []
    pipelines = document.get("custom_pipelines")
    if isinstance(pipelines, dict):
        values += [(f"custom_pipelines.{key}", entry.get("impl"))
                   for key, entry in pipelines.items() if isinstance(entry, dict)]  # fmt: skip
    for key, value in values:
        for item in value if isinstance(value, list | tuple) else [value]:
            # transformers would fail on any other spelling, too
            if isinstance(item, str) and item.rpartition("--")[2].count(".") == 1:
                yield Offer(reference=item, document=name, key=f"{prefix}{key}")


def offers(source: Source) -> tuple[Offer, ...]:
    """Everything that the repository's JSON offers to load, sorted by reference.

    Raises:
        RefusedError, FetchError: a document could not be read.
    """
    documents = read_configs(source)
    found = [offer for name, document in documents.items() for offer in _offers(document, name)]
    processor = documents.get("processor_config.json")
    # transformers 5 saves the parts of a processor inside its own document. Parts of a model's config are left
    # out: they are often copied from elsewhere, with references to files that are not here.
    for part, document in processor.items() if isinstance(processor, dict) else ():
        found += _offers(document, "processor_config.json", f"{part}.")
    try:
        source.read(CUSTOM_GENERATE, MAX_FILE_BYTES)
        found.append(Offer(reference="custom_generate/generate.generate", document=CUSTOM_GENERATE, key="generate"))
    except MissingFileError:
        pass
    return tuple(sorted(found, key=lambda offer: offer.reference))


def references(source: Source) -> tuple[str, ...]:
    """All class references (`[repo--]module.Class`) that the repository's JSON offers, sorted.

    Raises:
        RefusedError, FetchError: a document could not be read.
    """
    return tuple(sorted({offer.reference for offer in offers(source)}))


def offered_entries(snapshot: Snapshot, roots: set[str]) -> set[str]:
    """`module.Class` of every class at the top level of the files `roots`: whoever approves a file approves these."""
    entries: set[str] = set()
    for path in roots:
        try:
            tree = parse(snapshot[path].text, path)
        except RefusedError:
            continue  # not Python; the analysis says so
        entries |= {f"{path.removesuffix('.py')}.{node.name}" for node in tree.body if isinstance(node, ast.ClassDef)}
    return entries
