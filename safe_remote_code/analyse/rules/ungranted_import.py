"""An import that the policy does not grant.

What
    ``import`` of a module, or of a name from a module, of which the policy of this source grants nothing.

Why it matters
    Importing a package runs it; having it is a first step to using it.

Example
    ``import requests``

Instead
    Do without, or grant what is used of it. Real code imports much that it hardly uses, so the guard binds a
    tombstone, which raises when it is used, and the file loads.
"""

from __future__ import annotations

from ..context import Rule

RULE = Rule(id="ungranted-import", documentation=__doc__)
