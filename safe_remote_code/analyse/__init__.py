"""Stage 3: what could this code do? Answered from its text alone, before anything runs."""

from .analysis import Analysis, Use, analyse

__all__ = ["Analysis", "Use", "analyse"]
