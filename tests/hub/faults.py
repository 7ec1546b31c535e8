"""Ways in which a Hub, or somebody between it and the user, can misbehave.

A fault turns the answer of a healthy Hub into another one. `HubServer.inject` says for which file,
for which methods and how often. Content faults come before `Range` is applied; `cut_body` and
`slow` act on what is sent.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

from .replies import Reply, answer, error
from .repository import HubRepository
from .routes import Route


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What a fault may know of the request: the repository and what was asked of it."""

    repository: HubRepository
    route: Route
    cdn_url: str


Fault = Callable[[Exchange, Reply], Reply]


def wrong_etag(etag: str) -> Fault:
    """The file is announced under the identity of another content."""

    def fault(exchange: Exchange, reply: Reply) -> Reply:
        return replace(reply, headers={**reply.headers, "ETag": f'"{etag}"', "X-Linked-Etag": f'"{etag}"'})

    return fault


def without_header(name: str) -> Fault:
    """A proxy that drops a header field, such as `ETag` or `X-Repo-Commit`."""

    def fault(exchange: Exchange, reply: Reply) -> Reply:
        return replace(reply, headers={key: value for key, value in reply.headers.items() if key != name})

    return fault


def server_error(status: int = 500) -> Fault:
    """The Hub is ill; the client may retry or fall back to its cache."""

    def fault(exchange: Exchange, reply: Reply) -> Reply:
        return error(status, "InternalError", "Something went wrong.")

    return fault


def slow(seconds: float) -> Fault:
    """The answer comes late."""

    def fault(exchange: Exchange, reply: Reply) -> Reply:
        return replace(reply, delay_seconds=seconds)

    return fault


def cut_body(after_bytes: int) -> Fault:
    """The connection closes in the middle of the body."""

    def fault(exchange: Exchange, reply: Reply) -> Reply:
        return replace(reply, cut_after_bytes=after_bytes)

    return fault


def claim_length(claimed_bytes: int) -> Fault:
    """The length is announced falsely; the true body follows, then the connection closes."""

    def fault(exchange: Exchange, reply: Reply) -> Reply:
        headers = {**reply.headers, "X-Linked-Size": str(claimed_bytes)}
        return replace(reply, headers=headers, claimed_bytes=claimed_bytes)

    return fault


def changing_body(bodies: Sequence[bytes]) -> Fault:
    """Each request gets the next of `bodies`, in a circle, under the headers of the true file."""
    turns = itertools.cycle(bodies)

    def fault(exchange: Exchange, reply: Reply) -> Reply:
        return replace(reply, body=next(turns))

    return fault


def deliver_commit(commit_id: str) -> Fault:
    """The answer, headers included, is that of another commit; inject it for GET alone."""

    def fault(exchange: Exchange, reply: Reply) -> Reply:
        other = exchange.repository.commits[commit_id]
        return answer(exchange.repository, other, exchange.route, exchange.cdn_url)

    return fault


def then_move(branch: str, commit_id: str) -> Fault:
    """The answer is true, and right after it somebody pushes."""

    def fault(exchange: Exchange, reply: Reply) -> Reply:
        exchange.repository.point(f"refs/heads/{branch}", commit_id)
        return reply

    return fault
