"""Requests for the proxy itself: origin-form and asterisk-form targets on a proxy's port."""

from __future__ import annotations

from underpass.errors import Failure
from underpass.frontends.http.exchange import Exchange, refuse
from underpass.net.message_stream import ANSWER_SECONDS, MessageStream
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, RequestHead, ResponseHead, serialise_response
from underpass.protocol.http.message import RequestReader
from underpass.protocol.http.rules import wants_keep_alive

# What may be asked of the proxy itself. Everything else goes to somewhere, in absolute-form.
OWN_METHODS = b"GET, HEAD, OPTIONS, TRACE"

# Fields that a TRACE answer must not give away (RFC 9110 9.3.8).
_SECRET_FIELDS = (b"authorization", b"proxy-authorization", b"cookie")


async def answer(
    inbound: MessageStream[RequestReader], exchange: Exchange, head: RequestHead
) -> bool:
    """Answer OPTIONS and TRACE, refuse the rest; return whether the conversation goes on."""
    if exchange.body_unread:
        raise refuse(Failure.BAD_REQUEST, "a request to the proxy itself has no body")
    # Parentheses stand in no name, and a space would have to be escaped.
    exchange.address = "(itself)"
    match head.method:
        case b"OPTIONS":
            response = describe(head)
        case b"TRACE":
            response = reflect(head)
        case b"GET" | b"HEAD":
            details = "this is an HTTP proxy; set it as one instead of visiting it"
            raise refuse(Failure.NOT_FOUND, details)
        case _:
            allow = Fields([(b"Allow", OWN_METHODS)])
            details = "a proxy takes this method with a whole http:// target only"
            raise refuse(Failure.METHOD_NOT_ALLOWED, details, allow)
    exchange.status = 200
    exchange.answered = True
    await inbound.send_within(response, ANSWER_SECONDS)
    return wants_keep_alive(head)


def describe(head: RequestHead) -> bytes:
    """The answer to an OPTIONS that ends at this proxy (RFC 9110 9.3.7)."""
    fields = Fields([(b"Allow", OWN_METHODS + b", CONNECT"), (b"Content-Length", b"0")])
    return serialise_response(ResponseHead(200, b"OK", HTTP_11, _closing(head, fields)))


def reflect(head: RequestHead) -> bytes:
    """The answer to a TRACE that ends at this proxy: the request without secrets."""
    seen = head.fields.without(_SECRET_FIELDS)
    lines = [b"%s %s HTTP/%d.%d" % (head.method, head.target, *head.version)]
    lines += [b"%s: %s" % (name, value) for name, value in seen]
    body = b"\r\n".join(lines) + b"\r\n\r\n"
    fields = Fields(
        [
            (b"Content-Type", b"message/http"),
            (b"Content-Length", b"%d" % len(body)),
            (b"Cache-Control", b"no-store"),
        ]
    )
    head_bytes = serialise_response(ResponseHead(200, b"OK", HTTP_11, _closing(head, fields)))
    return head_bytes + body


def _closing(head: RequestHead, fields: Fields) -> Fields:
    return fields if wants_keep_alive(head) else fields.adding(b"Connection", b"close")
