"""A library name that guarded code gets as a replacement.

What
    A use of a name that touches files, the environment or modules and that the policy grants in a replaced
    form: ``open``, ``os.listdir``, ``torch.load``, ``importlib.import_module``.

Why it matters
    The replacement checks paths and arguments when it is called. Without the guard there is no replacement, so
    with that wall switched off such a use refuses.

Example
    ``open(vocab_file, encoding="utf-8")``

Instead
    Nothing is wrong with it under the guard.
"""

from __future__ import annotations

from ..context import Rule

RULE = Rule(id="mediated-name", documentation=__doc__)
