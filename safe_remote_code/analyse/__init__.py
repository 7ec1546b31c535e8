"""Stage 3: what could this code do? Answered from its text alone, before anything runs."""

from .analysis import Analysis, analyse
from .use import Use

__all__ = ["Analysis", "Use", "analyse"]
