"""How a middlebox changes messages."""

from __future__ import annotations

import random

from underpass.protocol.http.chunked import encode_chunk, encode_last_chunk
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.framing import BodyKind
from underpass.protocol.http.head import (
    HTTP_10,
    HTTP_11,
    RequestHead,
    ResponseHead,
    serialise_request,
)
from underpass.protocol.http.rules import upgrade_requested
from underpass.protocol.http.target import AbsoluteTarget
from underpass.testing.middlebox.behaviour import Behaviour

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"proxy-connection",
        b"keep-alive",
        b"transfer-encoding",
        b"upgrade",
        b"proxy-authorization",
        b"content-length",
    }
)


def _changed(fields: Fields, behaviour: Behaviour) -> list[tuple[bytes, bytes]]:
    kept = fields.without(HOP_BY_HOP | behaviour.drop_fields)
    pairs = [*kept, *behaviour.add_fields, (b"Via", b"1.1 box")]
    if behaviour.lower_names:
        pairs = [(name.lower(), value) for name, value in pairs]
    return pairs


def change_request(head: RequestHead, target: AbsoluteTarget, behaviour: Behaviour) -> RequestHead:
    """The head to send on, in origin-form; framing is added with the body."""
    pairs = _changed(head.fields, behaviour)
    upgrade = upgrade_requested(head)
    if upgrade is not None and not (behaviour.strip_upgrade or behaviour.http_10):
        pairs += [(b"Connection", b"Upgrade"), (b"Upgrade", upgrade)]
    else:
        pairs.append((b"Connection", b"close"))
    version = HTTP_10 if behaviour.http_10 else HTTP_11
    return RequestHead(head.method, target.origin_form, version, Fields(pairs))


def encode_request(
    head: RequestHead, body: bytes, behaviour: Behaviour, source: random.Random
) -> bytes:
    """The whole request."""
    if behaviour.alter and body:
        body = altered(body, source.randrange(len(body)))
    fields = head.fields
    if body or head.method in (b"POST", b"PUT"):
        fields = fields.adding(b"Content-Length", b"%d" % len(body))
    return serialise_request(RequestHead(head.method, head.target, head.version, fields)) + body


def altered(body: bytes, at: int) -> bytes:
    """`body` with one byte changed."""
    return body[:at] + bytes((body[at] ^ 0x55,)) + body[at + 1 :]


def change_response(head: ResponseHead, kind: BodyKind, behaviour: Behaviour) -> ResponseHead:
    """The head to send to the client, with a framing that it can read."""
    pairs = _changed(head.fields, behaviour)
    length = head.fields.get(b"content-length")
    version = HTTP_10 if behaviour.http_10 else HTTP_11
    if kind is BodyKind.CHUNKED and not behaviour.http_10:
        pairs.append((b"Transfer-Encoding", b"chunked"))
    elif kind is BodyKind.LENGTH and length is not None:
        pairs.append((b"Content-Length", b"%d" % (int(length) + len(behaviour.inject))))
    elif kind is BodyKind.NONE and head.status not in (204, 304):
        pairs.append((b"Content-Length", b"0"))
    if behaviour.http_10 or kind is BodyKind.UNTIL_CLOSE:
        pairs.append((b"Connection", b"close"))
    return ResponseHead(head.status, head.reason, version, Fields(pairs))


def encode_body(data: bytes, head: ResponseHead, behaviour: Behaviour, *, is_first: bool) -> bytes:
    """A piece of a response's body as it goes on."""
    is_chunked = b"transfer-encoding" in head.fields
    if is_first and data and behaviour.alter:
        data = altered(data, len(data) // 2)
    if is_first:
        data = behaviour.inject + data
    return encode_chunk(data) if is_chunked and data else data


def encode_end(head: ResponseHead) -> bytes:
    """What ends a response's body."""
    return encode_last_chunk() if b"transfer-encoding" in head.fields else b""
