"""Small vocabularies of our own making, in the file formats that remote tokenizers read.

`sentencepiece`: `tokenizer.model`, trained here on the text below (byte fallback, so that any text encodes).
`tiktoken`: `qwen.tiktoken`, base64 with ranks: single bytes, pairs, then triples, as many as Qwen's special tokens
  expect.
`byte-bpe`: `vocab.json` and `merges.txt` of the GPT-2 family.
No vocabulary of a published model is used.
"""

from __future__ import annotations

import base64
import io
import itertools
import json

TEXT = (
    "the quick brown fox jumps over the lazy dog . a model reads words and writes words , one after another . "
    "numbers such as 1 2 3 4 5 6 7 8 9 0 are words too . what is pinned is what runs , and nothing else runs . "
)
_QWEN_RANKS = 151643  # the tokenizer asserts that its special tokens begin there
_MERGES = ["t h", "th e", "a n", "an d", "w o", "wo r", "Ġ t", "Ġ w", "i n", "in g"]


def files(kind: str) -> dict[str, bytes]:
    """The vocabulary files of that kind, by name."""
    makers = {"": dict, "sentencepiece": _sentencepiece, "tiktoken": _tiktoken, "byte-bpe": _byte_bpe}
    made: dict[str, bytes] = makers[kind]()
    return made


def _sentencepiece() -> dict[str, bytes]:
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([TEXT] * 8),
        model_writer=model,
        vocab_size=320,
        model_type="bpe",
        byte_fallback=True,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    return {"tokenizer.model": model.getvalue()}


def _tiktoken() -> dict[str, bytes]:
    words = (bytes(letters) for length in (1, 2, 3) for letters in itertools.product(range(256), repeat=length))
    ranked = enumerate(itertools.islice(words, _QWEN_RANKS))
    return {"qwen.tiktoken": b"".join(b"%s %d\n" % (base64.b64encode(word), rank) for rank, word in ranked)}


def _byte_bpe() -> dict[str, bytes]:
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(value) for value in printable] + [chr(256 + offset) for offset in range(256 - len(printable))]
    words = [*letters, *(merge.replace(" ", "") for merge in _MERGES), "<|endoftext|>"]
    vocabulary = {word: rank for rank, word in enumerate(dict.fromkeys(words))}
    merges = "#version: 0.2\n" + "\n".join(_MERGES) + "\n"
    return {"vocab.json": json.dumps(vocabulary).encode(), "merges.txt": merges.encode()}
