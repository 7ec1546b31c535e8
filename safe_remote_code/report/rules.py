"""The documentation of every rule, for `explain` and for SARIF: the docstring of the rule's module."""

from __future__ import annotations

from functools import lru_cache
from inspect import cleandoc
from typing import Final

from .. import config_audit
from ..analyse.rules import RULES
from . import detonation, source_not_allowed

_UNDOCUMENTED: Final = "A rule without documentation."


@lru_cache(maxsize=1)
def rule_texts() -> dict[str, str]:
    """Documentation by rule id, sorted by id."""
    texts = {rule.id: cleandoc(rule.documentation or _UNDOCUMENTED) for rule in RULES}
    texts[config_audit.RULE] = cleandoc(config_audit.__doc__ or _UNDOCUMENTED)
    texts[source_not_allowed.RULE] = cleandoc(source_not_allowed.__doc__ or _UNDOCUMENTED)
    texts[detonation.RULE] = cleandoc(detonation.__doc__ or _UNDOCUMENTED)
    return dict(sorted(texts.items()))


def documentation(rule: str) -> str:
    """The documentation of `rule`."""
    return rule_texts().get(rule, _UNDOCUMENTED)


def summary_of(text: str) -> str:
    """The first sentence of a documentation: its first paragraph, on one line."""
    return " ".join(text.partition("\n\n")[0].split())
