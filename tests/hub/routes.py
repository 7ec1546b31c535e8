"""Which resource of the Hub's HTTP API a request names.

A repository is named as in the Hub's page addresses: `owner/name` for a model, `datasets/owner/name`
and `spaces/owner/name` for the others; the owner may be missing, as in `gpt2`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import final
from urllib.parse import parse_qs, unquote, urlsplit

_REPOSITORY = r"(?P<repository>[^/]+(?:/[^/]+)?)"
_KIND = r"(?P<kind>models|datasets|spaces)"

_INFO = re.compile(rf"/api/{_KIND}/{_REPOSITORY}")
_INFO_AT = re.compile(rf"/api/{_KIND}/{_REPOSITORY}/revision/(?P<revision>[^/]+)")
_TREE = re.compile(rf"/api/{_KIND}/{_REPOSITORY}/tree/(?P<revision>[^/]+)(?:/(?P<path>.+))?")
_REFS = re.compile(rf"/api/{_KIND}/{_REPOSITORY}/refs")
_FILE = re.compile(
    rf"(?P<cdn>/cdn)?(?:/(?P<kind>datasets|spaces))?/{_REPOSITORY}/resolve/(?P<revision>[^/]+)/(?P<path>.+)"
)

# The plain information address would also match `gpt2/refs`, hence it is last.
_ROUTES = (("tree", _TREE), ("refs", _REFS), ("info", _INFO_AT), ("file", _FILE), ("info", _INFO))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One resource: what about it, of which repository, at which revision, under which path."""

    resource: str
    repository: str
    revision: str
    path: str
    query: dict[str, list[str]]
    on_cdn: bool

    def asks(self, option: str) -> bool:
        """Whether a yes/no option of the address is set; clients differ in how they write `true`."""
        return self.query.get(option, ["false"])[0].lower() in {"true", "1"}


def parse_route(target: str) -> Route | None:
    """The resource that the request target names, or `None` for an address that this server lacks."""
    split = urlsplit(target)
    for resource, pattern in _ROUTES:
        match = pattern.fullmatch(split.path)
        if match is not None:
            return _route(resource, match.groupdict(), split.query)
    return None


def _route(resource: str, parts: dict[str, str | None], query: str) -> Route:
    kind = parts["kind"]
    prefix = "" if kind in (None, "models") else f"{kind}/"
    return Route(
        resource=resource,
        repository=prefix + unquote(parts["repository"] or ""),
        revision=unquote(parts.get("revision") or "main"),
        path=unquote(parts.get("path") or ""),
        query=parse_qs(query),
        on_cdn=bool(parts.get("cdn")),
    )
