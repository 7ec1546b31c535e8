"""Bounds on hostile input. Each constant has its unit in the name and its reason beside it."""

from __future__ import annotations

from typing import Final

#: The largest real modeling file seen is 330 kB; 2 MiB leaves room and keeps parsing under a second.
MAX_FILE_BYTES: Final = 2 * 1024 * 1024
#: The largest real closure seen has 46 files.
MAX_SNAPSHOT_FILES: Final = 256
MAX_SNAPSHOT_BYTES: Final = 16 * 1024 * 1024
#: A JSON document beside the code (config.json); tokenizer.json is never read by us.
MAX_JSON_BYTES: Final = 4 * 1024 * 1024
#: A lock or policy file.
MAX_DOCUMENT_BYTES: Final = 16 * 1024 * 1024
#: Nesting of brackets and blocks; CPython's own parser gives up at 200 brackets, and its AST
#: converter recurses in C. Real code stays under 40.
MAX_NESTING: Final = 120
#: Characters of one line; longer ones are data, not code that a person reviewed.
MAX_LINE_CHARS: Final = 20_000
#: AST nodes of one file; real files stay under 120,000.
MAX_NODES: Final = 400_000
#: Digits of one integer literal; CPython's default limit for int() from text is 4,300.
MAX_INTEGER_DIGITS: Final = 4_300
#: Path length inside a repository, in characters.
MAX_PATH_CHARS: Final = 255
#: Bytes that remote code may read from one file of its own repository (vocabularies reach 20 MB).
MAX_GUARDED_READ_BYTES: Final = 256 * 1024 * 1024
#: A key in PEM; an RSA key of 8192 bits has 6 kB.
MAX_KEY_BYTES: Final = 16 * 1024
#: A signed envelope: an audit with its notes, or the list of files of a model with 100,000 shards.
MAX_ENVELOPE_BYTES: Final = 64 * 1024 * 1024
#: Signatures of one envelope; each is tried with each trusted key.
MAX_SIGNATURES: Final = 32
#: Files in one folder of signatures: an approval by each of a few dozen people.
MAX_SIGNATURE_FILES: Final = 64
#: Certificates of one chain, or roots of one trust; real chains have three or four.
MAX_CERTIFICATES: Final = 16
#: Files of one model: the largest seen are some hundred shards, with data sets some ten thousand files.
MAX_MODEL_FILES: Final = 200_000
