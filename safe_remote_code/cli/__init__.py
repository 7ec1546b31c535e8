"""`safe-remote-code`: pin, verify, audit, explain, policy. Composes the library and prints."""

from .app import main, program

__all__ = ["main", "program"]
