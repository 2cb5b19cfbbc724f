"""`Page`: an answer of the server to any request, and how it is written."""

from __future__ import annotations

import email.utils
import http
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, ResponseHead, Version, serialise_response

# Statuses without a body (RFC 9110 6.4.1).
BODILESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Page:
    """A status, the fields that tell of the body, and the body: whole, or as it comes.

    `length` says how long one that comes will be, where that is known.
    """

    status: int
    fields: Fields = field(default_factory=Fields)
    body: bytes | AsyncGenerator[bytes, None] = b""
    length: int | None = None

    @property
    def size(self) -> int | None:
        """The length of the body in bytes; None where only its end tells."""
        return len(self.body) if isinstance(self.body, bytes) else self.length


def text_page(status: int) -> Page:
    """A page that says what its status means, as small web servers have it."""
    phrase = reason_of(status).decode("ascii")
    text = (
        f"<html>\n<head><title>{status} {phrase}</title></head>\n"
        f"<body>\n<h1>{phrase}</h1>\n</body>\n</html>\n"
    )
    return Page(status, Fields([(b"Content-Type", b"text/html")]), text.encode("ascii"))


def reason_of(status: int) -> bytes:
    """The usual words for a status, empty for one that is not usual."""
    try:
        return http.HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b""


def page_head(page: Page, version: Version, *, keep: bool) -> bytes:
    """The head of a page for a client of `version`; `keep`: the client may ask again after it."""
    pairs = [(b"Date", email.utils.formatdate(usegmt=True).encode("ascii")), *page.fields]
    if page.size is None:
        if version >= HTTP_11:
            pairs.append((b"Transfer-Encoding", b"chunked"))
    elif page.status not in BODILESS:
        pairs.append((b"Content-Length", b"%d" % page.size))
    if not keep:
        pairs.append((b"Connection", b"close"))
    return serialise_response(
        ResponseHead(page.status, reason_of(page.status), HTTP_11, Fields(pairs))
    )
