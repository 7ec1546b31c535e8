"""What people and machines read: reports as text, JSON and SARIF, and policies suggested from them.

Everything here looks at code that nobody has verified. It cannot guard or execute anything.
"""

from .examination import Examination, examine
from .visible import visible, visible_lines

__all__ = ["Examination", "examine", "visible", "visible_lines"]
