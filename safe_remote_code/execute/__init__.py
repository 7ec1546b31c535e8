"""Stage 5: run the guarded code, once, and hand out its classes. The one home of `exec`."""

from .in_process import LoadedPackage, execute

__all__ = ["LoadedPackage", "execute"]
