"""Which classes of a repository its own JSON files offer: `auto_map`, pipelines, custom_generate.

JSON of a repository is data that names code; it never grants anything.
"""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Final

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


def _references(document: object) -> Iterator[str]:
    if not isinstance(document, dict):
        return
    auto_map = document.get("auto_map")
    if isinstance(auto_map, list | tuple):  # tokenizers of old had [slow, fast]
        auto_map = {"AutoTokenizer": auto_map}
    values = list(auto_map.values()) if isinstance(auto_map, dict) else []
    pipelines = document.get("custom_pipelines")
    if isinstance(pipelines, dict):
        values += [entry.get("impl") for entry in pipelines.values() if isinstance(entry, dict)]
    for value in values:
        for item in value if isinstance(value, list | tuple) else [value]:
            # transformers would fail on any other spelling, too
            if isinstance(item, str) and item.rpartition("--")[2].count(".") == 1:
                yield item


def references(source: Source) -> tuple[str, ...]:
    """All class references (`[repo--]module.Class`) that the repository's JSON offers, sorted.

    Raises:
        RefusedError, FetchError: a document could not be read.
    """
    documents = read_configs(source)
    processor = documents.get("processor_config.json")
    # transformers 5 saves the parts of a processor inside its own document. Parts of a model's config are left
    # out: they are often copied from elsewhere, with references to files that are not here.
    parts = processor.values() if isinstance(processor, dict) else ()
    found = {item for document in (*documents.values(), *parts) for item in _references(document)}
    try:
        source.read(CUSTOM_GENERATE, MAX_FILE_BYTES)
        found.add("custom_generate/generate.generate")
    except MissingFileError:
        pass
    return tuple(sorted(found))


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
