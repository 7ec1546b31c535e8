"""What the Hub answers, as a value; nothing is sent here.

Headers and error codes are those that `huggingface_hub` reads (`file_download.get_hf_file_metadata`
and `utils._http.hf_raise_for_status`). A file in LFS is a redirect to another origin, as on the Hub.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import final
from urllib.parse import quote

from .repository import Blob, Commit, HubRepository
from .routes import Route

_LONG_AGO = "2024-01-01T00:00:00.000Z"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer before it is sent; the fields that only faults set come last."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    claimed_bytes: int | None = None
    """A false Content-Length; `None` claims the truth."""
    cut_after_bytes: int | None = None
    """Close the connection after this much of the body."""
    delay_seconds: float = 0.0


def error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    """A refusal, in the header fields from which the client makes its exception."""
    said = {"X-Error-Code": code, "X-Error-Message": message, "Content-Type": "application/json", **(headers or {})}
    return Reply(status=status, headers=said, body=json.dumps({"error": message}).encode())


def gate(repository: HubRepository, token: str | None) -> Reply | None:
    """The refusal that a reader without the right token gets; `None` lets the reader through."""
    if repository.readers is None or token in repository.readers:
        return None
    if token is None:
        return error(HTTPStatus.UNAUTHORIZED, "GatedRepo", f"Access to {repository.name} is restricted.")
    return error(HTTPStatus.FORBIDDEN, "GatedRepo", f"You are not in the authorized list of {repository.name}.")


def answer(repository: HubRepository, commit: Commit, route: Route, cdn_url: str) -> Reply:
    """The answer of a healthy Hub about `commit`."""
    match route.resource:
        case "file":
            return _file(repository, commit, route, cdn_url)
        case "tree":
            return _tree(commit, route)
        case "refs":
            return _refs(repository)
        case _:
            return _info(repository, commit, route)


def _file(repository: HubRepository, commit: Commit, route: Route, cdn_url: str) -> Reply:
    blob = commit.files.get(route.path)
    if blob is None:
        message = f"{route.path} does not exist in {repository.name}."
        return error(HTTPStatus.NOT_FOUND, "EntryNotFound", message, {"X-Repo-Commit": commit.id})
    headers = _file_headers(commit, blob)
    if not blob.in_lfs or route.on_cdn:
        return Reply(status=HTTPStatus.OK, headers=headers, body=blob.content)
    location = f"{cdn_url}/cdn/{repository.name}/resolve/{commit.id}/{quote(route.path)}"
    return Reply(status=HTTPStatus.FOUND, headers={**headers, "Location": location})


def _file_headers(commit: Commit, blob: Blob) -> dict[str, str]:
    return {
        "Content-Type": "application/octet-stream",
        "Accept-Ranges": "bytes",
        "X-Repo-Commit": commit.id,
        "ETag": f'"{blob.etag}"',
        "X-Linked-Etag": f'"{blob.etag}"',
        "X-Linked-Size": str(len(blob.content)),
    }


def _info(repository: HubRepository, commit: Commit, route: Route) -> Reply:
    siblings = [{"rfilename": path, **_sibling(blob, route)} for path, blob in commit.below("").items()]
    repo_id = repository.name.removeprefix("datasets/").removeprefix("spaces/")
    return _json(
        {
            "_id": commit.id[:24],
            "id": repo_id,
            "modelId": repo_id,
            "sha": commit.id,
            "lastModified": _LONG_AGO,
            "createdAt": _LONG_AGO,
            "private": False,
            "gated": "manual" if repository.readers is not None else False,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": siblings,
        }
    )


def _sibling(blob: Blob, route: Route) -> dict[str, object]:
    if not route.asks("blobs"):
        return {}
    sibling: dict[str, object] = {"size": len(blob.content), "blobId": blob.git_oid}
    if blob.in_lfs:
        sibling["lfs"] = {"sha256": blob.sha256, "size": len(blob.content), "pointerSize": 134}
    return sibling


def _tree(commit: Commit, route: Route) -> Reply:
    inside = commit.below(route.path)
    if route.path and not inside:
        return error(HTTPStatus.NOT_FOUND, "EntryNotFound", f"{route.path} does not exist on {route.revision}.")
    files = [{"type": "file", "path": path, **blob.described()} for path, blob in inside.items()]
    entries = files + [{"type": "directory", "path": path, "oid": commit.id} for path in _folders(inside, route.path)]
    if not route.asks("recursive"):
        depth = route.path.count("/") + 1 if route.path else 0
        entries = [entry for entry in entries if str(entry["path"]).count("/") == depth]
    return _json(entries)


def _folders(paths: Mapping[str, Blob], below: str) -> list[str]:
    found = {path[:end] for path in paths for end, character in enumerate(path) if character == "/"}
    return sorted(folder for folder in found if folder != below and folder.startswith(below))


def _refs(repository: HubRepository) -> Reply:
    return _json(
        {
            "branches": repository.listed("refs/heads/"),
            "tags": repository.listed("refs/tags/"),
            "converts": [],
            "pullRequests": repository.listed("refs/pr/"),
        }
    )


def _json(document: object) -> Reply:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return Reply(status=HTTPStatus.OK, headers=headers, body=json.dumps(document).encode())
