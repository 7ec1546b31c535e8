"""A library name that the policy does not grant.

What
    A use of a dotted name (``subprocess.run``, ``torch.hub.load``) for which the policy of this source has no
    grant, or which needs a capability that it does not grant. Decided by the policy, not by the text alone.

Why it matters
    What is not granted was not reviewed. A name with a capability (process, network, file-write, …) is a sink.

Example
    ``subprocess.run(["id"])``

Instead
    Do without, or grant the name to this source with a reason. Inside a function such a name may wait for the
    guard, which binds a tombstone that raises when it is used.
"""

from __future__ import annotations

from ..context import Rule

RULE = Rule(id="ungranted-name", documentation=__doc__)
