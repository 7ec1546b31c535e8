"""Detonation, seen from the parent: run the code of a repository where it can do no harm, and hear what it tries.

The walls of Python are off in that worker, for the code is to show itself; the kernel's stands. Nothing of
torch or of the code is loaded in this process. What the worker tells is bounded and checked like all it says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, final

from ..capability import CAPABILITIES
from ..errors import RefusedError, WorkerError, WorkerProtocolError
from ..policy import WALLS, Policy
from ..reference import RepoSource, check_path
from .download import bring
from .failures import raised, shown
from .process import WorkerProcess
from .start import Start, confinement, hub_environment, repository_roots
from .values import Encoder, checked_keys, checked_text

_MODULE: Final = "safe_remote_code.integrations.worker"
#: A loop that tries for ever is told that often, then it has been seen.
_MAX_ATTEMPTS: Final = 5000
_MAX_LINE: Final = 1 << 24


@final
@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Attempt:
    """Something that the code tried: an audit event (PEP 578) which no policy without grants allows."""

    path: str
    line: int
    capability: str
    event: str
    arguments: str
    stage: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a run came to. `stages`: each with its error, empty if it went well. `ended`: why it ended early."""

    attempts: tuple[Attempt, ...]
    stages: tuple[tuple[str, str], ...]
    ended: str = ""


def detonate(repo: RepoSource, commit: str | None, policy: Policy, *, local_files_only: bool = False) -> Trial:
    """Run the code of `repo` in a worker.

    Raises:
        SandboxUnavailableError: the kernel cannot hold it, so it was not run. FetchError: its files cannot be had.
    """
    if repo.kind == "hub":
        options = {"local_files_only": local_files_only, "repo_type": repo.repo_type}
        bring(repo.location, commit, options, weights=False)
    limits = policy.worker
    environment = {"OMP_NUM_THREADS": "1", **(hub_environment(None) if repo.kind == "hub" else {})}
    process = WorkerProcess(_MODULE, environment, limits.reply_seconds, memory_bytes=limits.memory_bytes)
    try:
        return _tried(process, repo, commit, policy)
    finally:
        process.channel.end("the trial is over")


def _tried(process: WorkerProcess, repo: RepoSource, commit: str | None, policy: Policy) -> Trial:
    open_policy = replace(policy, unsafe_disable=frozenset(WALLS), allow=("*",), deny=())
    start = Start(
        confinement=confinement(
            repository_roots(repo, None), process.scratch.writable, memory_bytes=policy.worker.memory_bytes
        ),
        policy=open_policy, lockfile=str(process.scratch.path / "no.lock"), threads=1,
    )  # fmt: skip
    kind, answer = process.channel.ask("start", Encoder().encode(start.body()))
    if kind == "failure":
        raise raised(answer, loading=True)
    attempts: dict[Attempt, None] = {}

    def told(value: object) -> None:
        if len(attempts) < _MAX_ATTEMPTS:
            attempts[_attempt(value)] = None

    body = Encoder().encode({"location": repo.location, "revision": commit, "released": []})
    try:
        kind, answer = process.channel.ask("detonate", body, on_record=told)
    except WorkerProtocolError:
        raise
    except WorkerError as error:
        return Trial(attempts=tuple(sorted(attempts)), stages=(), ended=error.message)
    if kind == "failure":
        return Trial(attempts=tuple(sorted(attempts)), stages=(), ended=str(raised(answer, loading=True)))
    return Trial(attempts=tuple(sorted(attempts)), stages=_stages(answer))


def _attempt(value: Any) -> Attempt:
    names = ("event", "arguments", "capability", "path", "stage", "line")
    *texts, line = checked_keys(value, *names)
    event, arguments, capability, path, stage = (shown(checked_text(text, 1000)) for text in texts)
    if capability not in CAPABILITIES or type(line) is not int or not 0 < line < _MAX_LINE:
        raise WorkerProtocolError("not an attempt")
    return Attempt(path=_inside(path), line=line, capability=capability, event=event, arguments=arguments, stage=stage)


def _inside(path: str) -> str:
    """A path of the repository; what else the code calls itself is told of the repository as a whole."""
    try:
        return check_path(path)
    except RefusedError:
        return "."


def _stages(answer: object) -> tuple[tuple[str, str], ...]:
    if type(answer) is not list:
        raise WorkerProtocolError("not a list of stages")
    pairs = (checked_keys(item, "stage", "error") for item in answer)
    return tuple((shown(checked_text(stage, 200)), shown(checked_text(error, 1000))) for stage, error in pairs)
