"""The policy does not allow this source at all.

What
    The name of the repository (``hub:owner/name``, ``local:directory``) is on no ``allow`` list of the
    policy, or on a ``deny`` list; a deny wins over every allow.

Why it matters
    Who publishes is the first question. Names can be taken over (model namespace reuse), so an allowed
    source is still held to its pin, and to the grants.

Example
    ``[sources] allow = ["hub:our-org/*"]`` and a repository of somebody else.

Instead
    Copy the code that you reviewed into a repository of yours, or list the source under ``[sources] allow``.
"""

from __future__ import annotations

from typing import Final

RULE: Final = "source-not-allowed"
