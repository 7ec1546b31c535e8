"""Fetching a peer's set, only when the user asks for it by its address.

Rules: https only, also after a redirect; certificates are checked; bounded in bytes and seconds. What comes
is believed by its signatures, never by where it came from.
"""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Final, final

from ..errors import FetchError, RefusedError
from ..limits import MAX_DOCUMENT_BYTES

if TYPE_CHECKING:
    from http.client import HTTPMessage

_TIMEOUT_S: Final = 30.0
_HTTPS_ONLY: Final = "sets are fetched over https only"


@final
class _HttpsRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if not newurl.lower().startswith("https://"):
            raise RefusedError(f"{_HTTPS_ONLY}, and this leads elsewhere", subject=newurl[:200])
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(url: str) -> bytes:
    """The bytes at `url`.

    Raises:
        RefusedError: not https, or too large. FetchError: it could not be had.
    """
    if not url.lower().startswith("https://"):
        raise RefusedError(_HTTPS_ONLY, subject=url[:200], remedy="give an https:// address, or a file")
    context = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    try:
        with urllib.request.build_opener(context, _HttpsRedirects()).open(url, timeout=_TIMEOUT_S) as answer:
            data: bytes = answer.read(MAX_DOCUMENT_BYTES + 1)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise FetchError(f"download failed: {getattr(error, 'reason', None) or error}", subject=url[:200],
                         remedy="try again, or import a file") from None  # fmt: skip
    if len(data) > MAX_DOCUMENT_BYTES:
        raise RefusedError(f"larger than {MAX_DOCUMENT_BYTES} bytes", subject=url[:200])
    return data
