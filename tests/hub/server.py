"""A Hub on loopback for the real `huggingface_hub` client: `with hub() as server: ...`.

It guarantees: an answer is a function of the commits, refs and faults at the moment of the request;
every request is logged before it is answered; nothing leaves 127.0.0.1.

It does not do: uploads, Xet, pagination, compression. Files in LFS are redirected to a second port,
which is another origin, as the Hub's CDN is.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import NamedTuple, final

from .faults import Exchange, Fault
from .replies import Reply, answer, error, gate
from .repository import HubRepository
from .routes import Route, parse_route

_FULL_REF = re.compile(r"refs/[a-z]+/.+")
_API = "<api>"
"""Stands for the path of a request that is not about a file; no file name holds `<`."""


class LoggedRequest(NamedTuple):
    """One request, as it came in."""

    method: str
    path: str
    token: str | None = None


@final
@dataclass(slots=True, kw_only=True)
class _Injection:
    repository: str
    path: str
    fault: Fault
    methods: Sequence[str]
    remaining: int | None

    def consume(self, method: str, route: Route) -> bool:
        """Whether this request is one that the fault is for; counts it if so."""
        path = route.path if route.resource == "file" else _API
        if (self.repository, self.path) != (route.repository, path) or method not in self.methods:
            return False
        if self.remaining == 0:
            return False
        if self.remaining is not None:
            self.remaining -= 1
        return True


@final
class HubServer:
    """The repositories, faults and log behind the two ports; every method may be called while it serves."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._repositories: dict[str, HubRepository] = {}
        self._injections: list[_Injection] = []
        self._log: list[LoggedRequest] = []
        self.url = ""
        self.cdn_url = ""

    def commit(self, repo: str, files: Mapping[str, bytes | str], branch: str = "main") -> str:
        """Store a commit that holds exactly `files`, let `branch` point to it, return its id."""
        with self._lock:
            repository = self._repositories.setdefault(repo, HubRepository(repo))
            commit_id = repository.add(files)
            self.move(repo, branch, commit_id)
            return commit_id

    def move(self, repo: str, ref: str, commit_id: str) -> None:
        """Let a branch, or a full ref such as `refs/pr/1`, point to `commit_id`."""
        full = ref if _FULL_REF.fullmatch(ref) else f"refs/heads/{ref}"
        with self._lock:
            self._repositories[repo].point(full, commit_id)

    def tag(self, repo: str, name: str, commit_id: str) -> None:
        """Let a tag point to `commit_id`; tags move as branches do."""
        self.move(repo, f"refs/tags/{name}", commit_id)

    def gate(self, repo: str, tokens: Sequence[str] = ()) -> None:
        """Show the files of `repo` only to bearers of `tokens`; its listing stays public, as on the Hub."""
        with self._lock:
            self._repositories[repo].readers = frozenset(tokens)

    def delete(self, repo: str) -> None:
        """Forget `repo`, so that somebody else may take its name."""
        with self._lock:
            del self._repositories[repo]

    def inject(
        self,
        repo: str,
        path: str,
        fault: Fault,
        *,
        methods: Sequence[str] = ("HEAD", "GET"),
        times: int | None = None,
    ) -> None:
        """Apply `fault` to requests for the file `path`, the first `times` of them or all."""
        entry = _Injection(repository=repo, path=path, fault=fault, methods=methods, remaining=times)
        with self._lock:
            self._injections.append(entry)

    def inject_api(self, repo: str, fault: Fault, *, times: int | None = None) -> None:
        """Apply `fault` to requests about `repo` that are not about a file: information, tree, refs."""
        self.inject(repo, _API, fault, methods=("GET",), times=times)

    def heal(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._injections.clear()

    @property
    def log(self) -> list[LoggedRequest]:
        """All requests so far, oldest first; a copy."""
        with self._lock:
            return list(self._log)

    def clear_log(self) -> None:
        with self._lock:
            self._log.clear()

    def respond(self, request: LoggedRequest) -> Reply:
        """Log `request` and make its answer, faults included."""
        with self._lock:
            self._log.append(request)
            route = parse_route(request.path)
            if route is None:
                return error(HTTPStatus.NOT_FOUND, "NotFound", f"No such address: {request.path}")
            return self._respond(request, route)

    def _respond(self, request: LoggedRequest, route: Route) -> Reply:
        repository = self._repositories.get(route.repository)
        if repository is None:
            return error(HTTPStatus.NOT_FOUND, "RepoNotFound", f"Repository not found: {route.repository}")
        refusal = gate(repository, request.token) if route.resource == "file" and not route.on_cdn else None
        if refusal is not None:
            return refusal
        commit = repository.at(route.revision)
        if commit is None:
            return error(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"Invalid rev id: {route.revision}")
        exchange = Exchange(repository=repository, route=route, cdn_url=self.cdn_url)
        reply = answer(repository, commit, route, self.cdn_url)
        for injection in self._injections:
            if injection.consume(request.method, route):
                reply = injection.fault(exchange, reply)
        return reply


def _ranged(reply: Reply, wanted: str | None) -> Reply:
    """The rest of the body where the client resumes; only the form `bytes=N-` is understood."""
    match = re.fullmatch(r"bytes=(\d+)-", wanted or "")
    if match is None or reply.status != HTTPStatus.OK:
        return reply
    start, total = int(match[1]), len(reply.body)
    if start >= total:
        return error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "InvalidRange", f"{total} bytes only")
    headers = {**reply.headers, "Content-Range": f"bytes {start}-{total - 1}/{total}"}
    return replace(reply, status=HTTPStatus.PARTIAL_CONTENT, headers=headers, body=reply.body[start:])


class _Listener(ThreadingTCPServer):
    """One port. Not `HTTPServer`, which looks its own name up in the DNS."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, hub_server: HubServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub_server = hub_server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    """Sends the answers of the `HubServer` over one connection."""

    protocol_version = "HTTP/1.1"
    server: _Listener

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: tests read `HubServer.log`."""

    def _serve(self) -> None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        reply = self.server.hub_server.respond(LoggedRequest(self.command, self.path, token))
        time.sleep(reply.delay_seconds)
        self._send(_ranged(reply, self.headers.get("Range") if self.command == "GET" else None))

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        length = len(reply.body) if reply.claimed_bytes is None else reply.claimed_bytes
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(reply.body[: reply.cut_after_bytes])
        # A body that is shorter than its announcement ends where the connection does.
        self.close_connection = length != len(reply.body) or reply.cut_after_bytes is not None


@contextmanager
def hub() -> Iterator[HubServer]:
    """Serve an empty Hub on two free loopback ports; `server.url` is the value for `HF_ENDPOINT`."""
    server = HubServer()
    with _Listener(server) as api, _Listener(server) as cdn:
        server.url, server.cdn_url = api.url, cdn.url
        for listener in (api, cdn):
            threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield server
        finally:
            api.shutdown()
            cdn.shutdown()
