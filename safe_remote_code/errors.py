"""Errors, split by who must act.

Guarantee: every refusal of this package is a `RemoteCodeError`, which derives from neither
`OSError` nor `ValueError`, because the callers in transformers swallow these two and go on with
something else (AutoTokenizer, AutoProcessor, custom_generate). Each error carries a stable `code`,
the `subject` it speaks of and a `remedy`: what, where, what to do.

Misuse of the Python API stays `TypeError` or `ValueError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .finding import Finding


#: Findings that the text of a PolicyError shows; beyond that nobody reads an exception.
_MAX_SHOWN: Final = 20


class RemoteCodeError(Exception):
    """Base of all errors of this package."""

    code: ClassVar[str] = "remote-code"

    def __init__(self, message: str, *, subject: str = "", remedy: str = "") -> None:
        self.message = message
        self.subject = subject
        self.remedy = remedy
        super().__init__(message)

    def __str__(self) -> str:
        where = f"{self.subject}: " if self.subject else ""
        then = f"\n  To continue: {self.remedy}" if self.remedy else ""
        return f"[{self.code}] {where}{self.message}{then}"


class RefusedError(RemoteCodeError):
    """The content is not acceptable; running it again changes nothing."""

    code = "refused"


class NotPinnedError(RefusedError):
    """No entry of the lock file holds this code."""

    code = "not-pinned"


class DigestMismatchError(RefusedError):
    """The lock file has an entry for this source, but these bytes are not the pinned ones."""

    code = "digest-mismatch"


class SignatureError(RefusedError):
    """A signature, key or trust policy does not hold: absent, malformed, by the wrong keys, revoked or out of date."""

    code = "signature"


class NotClearedError(RefusedError):
    """No chain of audits, exemptions or trust clears this content for the criteria that are required."""

    code = "not-cleared"


class ViolationError(RefusedError):
    """Somebody recorded that this very content is bad; nothing clears it."""

    code = "violation"


class PolicyError(RefusedError):
    """The policy does not admit the code. `findings` holds every reason, not just the first."""

    code = "policy"

    def __init__(self, message: str, *, subject: str = "", remedy: str = "", findings: Sequence[Finding] = ()) -> None:
        self.findings = tuple(findings)
        super().__init__(message, subject=subject, remedy=remedy)

    def __str__(self) -> str:
        lines = [f"\n  {finding}" for finding in self.findings[:_MAX_SHOWN]]
        if len(self.findings) > _MAX_SHOWN:
            lines.append(f"\n  and {len(self.findings) - _MAX_SHOWN} more, in `findings`")
        where = f"{self.subject}: " if self.subject else ""
        then = f"\n  To continue: {self.remedy}" if self.remedy else ""
        return f"[{self.code}] {where}{self.message}{''.join(lines)}{then}"


class SandboxUnavailableError(RefusedError):
    """The kernel cannot enforce what was required of it, so nothing was started."""

    code = "sandbox-unavailable"


class GuardViolationError(RemoteCodeError):
    """Remote code tried, while running, something that it was not granted."""

    code = "guard-violation"


class FetchError(RemoteCodeError):
    """The code could not be read or downloaded; trying again may help."""

    code = "fetch"


class MissingFileError(FetchError):
    """The repository has no such file."""

    code = "missing-file"


class DocumentError(RemoteCodeError):
    """A lock or policy file of ours is malformed; `subject` names the place (`lock: package[2].digest`)."""

    code = "document"


class WorkerError(RemoteCodeError):
    """The worker process that holds remote code is of no use any more; it has been ended."""

    code = "worker"


class WorkerDiedError(WorkerError):
    """It ended by itself, by a signal or by the kernel; the message says which."""

    code = "worker-died"


class WorkerTimeoutError(WorkerError):
    """It gave no answer in time, and was killed."""

    code = "worker-timeout"


class WorkerProtocolError(WorkerError):
    """It did not keep to the protocol, and was killed: take it for hostile."""

    code = "worker-protocol"


class UnsupportedInWorkerError(RemoteCodeError):
    """What was asked needs the model in this process, and the policy keeps it in a worker."""

    code = "unsupported-in-worker"
