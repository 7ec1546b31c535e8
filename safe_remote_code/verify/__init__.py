"""Stage 2: are these the very bytes that were approved?"""

from .pins import VerifiedSnapshot, verify

__all__ = ["VerifiedSnapshot", "verify"]
