"""Stage 2: are these the very bytes that were approved?"""

from .pins import VerifiedSnapshot, verify
from .trust import Surroundings, approved

__all__ = ["Surroundings", "VerifiedSnapshot", "approved", "verify"]
