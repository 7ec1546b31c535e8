"""Stage 4: admitted text becomes code objects that can reach no more than they were granted."""

from .package import GuardedModule, GuardedPackage, guard

__all__ = ["GuardedModule", "GuardedPackage", "guard"]
