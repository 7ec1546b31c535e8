from .inner import helper
from . import deep

exported = "exported"
__all__ = ["helper", "exported"]
