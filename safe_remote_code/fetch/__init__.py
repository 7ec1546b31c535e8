"""Stage 1: bring the bytes of a repository's code, and nothing else, into memory."""

from .closure import fetch
from .source import Source, open_source

__all__ = ["Source", "fetch", "open_source"]
