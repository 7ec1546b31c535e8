"""A file of the repository that is not Python decides which code runs.

What
    JSON beside the weights (``config.json``, ``tokenizer_config.json``, ``adapter_config.json``, ...) names
    code: another repository's classes (``auto_map`` with ``--``), a kernel to download (``attn_implementation``
    with a ``/``), a Python file (``model_file``); or it carries the permission to run code
    (``trust_remote_code``). An entry whose file the repository does not hold is a note: the rest is pinned without it.

Why it matters
    Programs have taken such a key for the user's own word: ``_attn_implementation_internal`` ran a Hub kernel
    in transformers 4.56 to 5.2 (CVE-2026-4372), ``trust_remote_code`` in a configuration reached the nested
    loader (CVE-2026-5241), ``auto_map`` was followed with the flag off in vLLM (CVE-2025-66448),
    ``model_file`` runs the repository's Python in mlx-lm (CVE-2026-5843). The loader of this package believes
    no flag from a repository, but other programs that read the same files may.

Example
    ``{"auto_map": {"AutoModel": "other/repo--modeling.Model"}, "trust_remote_code": true}``

Instead
    Delete the key. Permission is the caller's to give, and code of another repository is pinned under that
    repository's own name: ``safe-remote-code pin other/repo``.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from .errors import FetchError, MissingFileError, RefusedError
from .fetch.entry_points import CONFIG_FILES, offers
from .finding import Enforcement, Finding
from .limits import MAX_JSON_BYTES
from .reference import RepoSource

if TYPE_CHECKING:
    from .fetch import Source
    from .snapshot import Snapshot

RULE: Final = "config-names-code"
#: Every JSON file in which a known loader looks for one of the keys below.
AUDITED_FILES: Final = (
    *CONFIG_FILES,
    "adapter_config.json",
    "config_sentence_transformers.json",
    "generation_config.json",
    "model_index.json",
    "modules.json",
)
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"(?P<colon>[ \t\r\n]*:[ \t\r\n]*)?', re.DOTALL)
_REFERENCE: Final = re.compile(r"(?:[\w./-]+--)?[A-Za-z_][\w/]*\.[A-Za-z_]\w*", re.ASCII)
_DELETE: Final = "delete the key; permission is the caller's to give"
#: PEFT's own allowlist for modules that an adapter may name.
_ADAPTER_LIBRARIES: Final = ("transformers", "diffusers", "peft", "sentence_transformers", "timm")

Verdict = tuple[Enforcement, str, str]
"""Enforcement, message, remedy."""


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _permission(value: object) -> Verdict | None:
    return ("refuse", "the repository gives itself permission to run code", _DELETE) if value else None


def _kernel(value: object) -> Verdict | None:
    named = [text for text in _texts(value) if "/" in text]
    if not named:
        return None
    return "refuse", f"names a kernel to download and run: {named[0]!r:.80}", "use sdpa, eager or flash_attention_2"


def _internal(value: object) -> Verdict | None:
    return _kernel(value) or ("note", "an internal key that old versions took for the user's choice", "delete the key")


def _auto_map(value: object) -> Verdict | None:
    for text in _texts(value):
        if not _REFERENCE.fullmatch(text):
            return "refuse", f"not a class reference: {text!r:.80}", "write [owner/name--]module.Class"
    elsewhere = foreign_repositories(value)
    if not elsewhere:
        return None
    pin = f"pin it under its own name: safe-remote-code pin {' '.join(elsewhere)}"
    return "note", f"the code is that of another repository: {', '.join(elsewhere)}", pin


def _class_name(value: object) -> Verdict | None:
    if isinstance(value, list):
        return "refuse", "a class name that is a list names a module to import", "give the class name alone"
    return None


def _adapter_library(value: object) -> Verdict | None:
    root = str(value or "").partition(".")[0]
    if not root or root in _ADAPTER_LIBRARIES:
        return None
    return "refuse", f"names a module to import: {value!r:.80}", "name a module of transformers"


def _megatron(value: object) -> Verdict | None:
    if value in (None, "", "megatron.core"):
        return None
    return "refuse", f"names a module to import: {value!r:.80}", "write megatron.core"


def _present(message: str, enforcement: Enforcement = "note") -> Callable[[object], Verdict | None]:
    return lambda value: (enforcement, message, "") if value else None


CHECKS: Final[dict[str, Callable[[object], Verdict | None]]] = {
    "trust_remote_code": _permission,
    "allow_remote": _permission,
    "attn_implementation": _kernel,
    "_attn_implementation": _kernel,
    "_attn_implementation_internal": _internal,
    "auto_map": _auto_map,
    "custom_pipelines": _present("offers a pipeline of its own, which `pin` covers"),
    "audio_tokenizer": _present("loads another model by the name written here"),
    "tokenizer_kwargs": _present("hands keyword arguments to a loader"),
    "base_model_name_or_path": _present("loads another model by the name written here"),
    "model_file": _present("names a Python file that some loaders run unasked", "refuse"),
    "megatron_core": _megatron,
    "parent_library": _adapter_library,
    "_class_name": _class_name,
}


def foreign_repositories(value: object) -> tuple[str, ...]:
    """Repositories named as `repo--module.Class` anywhere in `value`, sorted; malformed names are left out."""
    found: set[str] = set()
    for text in _texts(value):
        repo, separator, _ = text.rpartition("--")
        if separator:
            try:
                found.add(RepoSource(kind="hub", location=repo).location)
            except RefusedError:
                continue  # `_auto_map` reports the reference, and the loader refuses it
    return tuple(sorted(found))


def audit_json(path: str, text: str) -> list[Finding]:
    """Every key of `text` that names code or carries permission, at its place, at any depth."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    found = []
    for match in _STRING.finditer(text):
        if not match["colon"]:
            continue
        check = CHECKS.get(json.loads(text[match.start() : match.start("colon")], strict=False))
        verdict = check(json.JSONDecoder(strict=False).raw_decode(text, match.end())[0]) if check else None
        if verdict is not None:
            line = bisect_right(starts, match.start())
            found.append(_finding(path, line, match.start() - starts[line - 1] + 1, match[0], verdict))
    return found


def _finding(path: str, line: int, column: int, key: str, verdict: Verdict) -> Finding:
    enforcement, message, remedy = verdict
    name = key.rstrip(": \t\r\n").strip('"')
    return Finding(path=path, line=line, column=column, rule=RULE, message=f"{name}: {message}", remedy=remedy,
                   enforcement=enforcement)  # fmt: skip


def _read(source: Source, path: str) -> list[Finding]:
    try:
        text = source.read(path, MAX_JSON_BYTES).decode("utf-8-sig")
        json.loads(text)
        return audit_json(path, text)
    except MissingFileError:
        return []
    except (ValueError, RecursionError):
        verdict: Verdict = ("refuse", "not JSON in UTF-8, so nobody can tell what it names", "correct the file")
    except FetchError as error:
        # Offline, the cache cannot tell "absent" from "never asked for": say so, and go on.
        verdict = ("note", f"could not be read, so it was not audited: {error.message}", "audit again while online")
    return [_finding(path, 1, 1, path, verdict)]


def audit_configs(source: Source) -> tuple[Finding, ...]:
    """Findings about every JSON file of the repository that loaders take code or permission from.

    Raises:
        RefusedError: a file is not a plain file inside the repository, or too large.
    """
    return tuple(finding for path in AUDITED_FILES for finding in _read(source, path))


def dangling_entries(source: Source, code: Snapshot) -> tuple[Finding, ...]:
    """A note on each entry of the repository's JSON whose file is not in `code`, all that the repository holds.

    Raises:
        RefusedError, FetchError: a document could not be read.
    """
    found = set()
    for offer in offers(source):
        if offer.path is not None and offer.path not in code:
            text = source.read(offer.document, MAX_JSON_BYTES).decode("utf-8-sig", "replace")
            line, column = _place(text, offer.reference)
            message = f"names {offer.reference}, and there is no file {offer.path}: this class cannot be loaded"
            remedy = "add the file or delete the entry; a file that is added later needs a new pin"
            found.add(_finding(offer.document, line, column, offer.key, ("note", message, remedy)))
    return tuple(sorted(found))


def _place(text: str, reference: str) -> tuple[int, int]:
    """Line and column of `reference`, a string of the document `text`; its beginning if it is spelled with escapes."""
    start = max(text.find(json.dumps(reference)), 0)
    return text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
