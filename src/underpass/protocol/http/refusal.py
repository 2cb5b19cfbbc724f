"""The answer to a request that is refused: a status, its reason for machines, a text for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from underpass.errors import Failure
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, ResponseHead, serialise_response
from underpass.protocol.http.proxy_status import printable, proxy_status

_REASONS = {
    400: b"Bad Request",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    407: b"Proxy Authentication Required",
    408: b"Request Timeout",
    413: b"Content Too Large",
    414: b"URI Too Long",
    417: b"Expectation Failed",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
}

_ADVICE = {
    Failure.BAD_REQUEST: "The client sent what this proxy does not pass on; nothing was forwarded.",
    Failure.BAD_TARGET: "Check the host and port that were asked for.",
    Failure.AUTHENTICATION_REQUIRED: "Give the proxy a user and password that it knows.",
    Failure.FORBIDDEN: "Ask who runs this proxy to allow it, if you need it.",
    Failure.IP_PROHIBITED: "Ask who runs this proxy to allow it (--allow), if you need it.",
    Failure.TOO_MANY_REQUESTS: "Wait, then try again.",
    Failure.CONNECTION_LIMIT: "Wait a moment, then try again.",
    Failure.DRAINING: "Try again; another process will take over.",
    Failure.DNS_ERROR: "Check the name.",
    Failure.DNS_TIMEOUT: "Try again; the name servers did not answer.",
    Failure.CONNECTION_REFUSED: "Nothing listens on that port, or a firewall refuses it.",
    Failure.CONNECTION_TIMEOUT: "The host is down, or a firewall drops what goes there.",
    Failure.LOOP: "The request leads back to this proxy.",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What to answer. `fields` are added as they are: a challenge, Allow, Retry-After."""

    failure: Failure
    details: str = ""
    fields: Fields = field(default_factory=Fields)
    parameters: Mapping[str, str | int] = field(default_factory=dict)


def refusal_response(
    refusal: Refusal,
    identity: str,
    *,
    close: bool,
    head_only: bool = False,
    request_id: str = "",
) -> bytes:
    """The whole response; `head_only` leaves the body out, as for HEAD.

    It says who it is from (RFC 9209) and can't be taken for the origin's, nor be cached.
    `request_id` is what to look for in the log.
    """
    failure = refusal.failure
    reason = _REASONS[failure.status]
    title = f"{failure.status} {reason.decode('ascii')}"
    body = _text(refusal, title, request_id).encode("ascii")
    status = proxy_status(identity, failure, refusal.details, refusal.parameters)
    pairs = [
        (b"Content-Type", b"text/plain; charset=utf-8"),
        (b"Content-Length", b"%d" % len(body)),
        (b"Cache-Control", b"no-store"),
        (b"Proxy-Status", status),
    ]
    if request_id:
        pairs.append((b"X-Request-Id", request_id.encode("ascii")))
    pairs += refusal.fields
    if close:
        pairs.append((b"Connection", b"close"))
    head = serialise_response(ResponseHead(failure.status, reason, HTTP_11, Fields(pairs)))
    return head if head_only else head + body


def _text(refusal: Refusal, title: str, request_id: str) -> str:
    phrase = refusal.failure.phrase
    what = f"{phrase[0].upper()}{phrase[1:]}"
    if refusal.details:
        what += f": {printable(refusal.details)}"
    lines = [f"underpass: {title}", "", f"{what}."]
    if refusal.failure in _ADVICE:
        lines.append(_ADVICE[refusal.failure])
    if request_id:
        lines.append(f"Request {request_id}.")
    return "\n".join(lines) + "\n"
