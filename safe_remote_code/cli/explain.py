"""`safe-remote-code explain`: what a rule means, why it matters, and what to write instead."""

from __future__ import annotations

import click

from ..report.rules import rule_texts, summary_of
from ..report.visible import visible_lines
from .console import say


@click.command(short_help="Print the documentation of a rule.")
@click.argument("rule", required=False)
def explain(rule: str | None) -> None:
    """Print the documentation of RULE; without one, list all rules."""
    texts = rule_texts()
    if rule is None:
        width = max(map(len, texts))
        say(f"{name:<{width}}  {summary_of(text)}" for name, text in texts.items())
        return
    if rule not in texts:
        raise click.UsageError(f"no rule {rule!r}; `safe-remote-code explain` lists all")
    say([rule, "=" * len(rule), *visible_lines(texts[rule])])
