"""Text that TorchScript would look up: what names something it would hand out is refused, and nothing else."""

from __future__ import annotations

import pytest

pytest.importorskip("RestrictedPython")

from safe_remote_code.guard.mediated.scripting import refused_word


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("x = torch.jit.annotate(Kind[getattr], y)", "getattr"),
        ("x = torch.jit.annotate(Kind[int, List[type]], y)", "type"),
        ("x: Kind[getattr(y)] = z", "getattr"),
        ("x = table[type(y)][open]", "open"),
        ("x = table[f(getattr)]", "getattr"),
        ("x = y  # type: Kind[getattr]", "getattr"),
        # A type is no call: TorchScript refuses to take one for a type, whatever it calls.
        ("x = CLASSES[getattr(config, 'attention', 'eager')](config)", None),
        ("x = table[type(y)]", None),
    ],
)
def test_words_in_the_text_of_types(text: str, word: str | None) -> None:
    assert refused_word([text]) == word
