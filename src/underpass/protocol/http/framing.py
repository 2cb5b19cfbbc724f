"""Where a message's body ends (RFC 9112 section 6), decided from its head and refused in doubt."""

from __future__ import annotations

import enum
import ipaddress
import re
from typing import NamedTuple

from underpass.errors import Failure, RemoteProtocolError
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_10, RequestHead, ResponseHead

# 19 digits hold every length below 2^63; `int` alone would take signs and underscores too.
_LENGTH = re.compile(rb"[0-9]{1,19}")

# RFC 3986 3.2: a registered name or IPv4, or a bracketed IPv6, and perhaps a port. May be empty.
_HOST = re.compile(
    rb"(?:\[([0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]{0,5})?"
)


class BodyKind(enum.Enum):
    """How a body is delimited."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until close"


class Framing(NamedTuple):
    """A body's kind, and its length in bytes where that is known."""

    kind: BodyKind
    length: int = 0


NO_BODY = Framing(BodyKind.NONE)
CHUNKED = Framing(BodyKind.CHUNKED)
UNTIL_CLOSE = Framing(BodyKind.UNTIL_CLOSE)


def request_framing(head: RequestHead) -> Framing:
    """How the body of this request is delimited, after checking what frames and routes it.

    Raises `RemoteProtocolError`: BAD_REQUEST, or NOT_IMPLEMENTED for an unknown transfer coding.
    """
    _check_host(head)
    fields = head.fields
    has_length = b"content-length" in fields
    has_coding = b"transfer-encoding" in fields
    if not (has_length or has_coding):
        return NO_BODY
    if head.method == b"CONNECT":
        # Parsers disagree on whether what follows is a body or the tunnel (RFC 9110 9.3.6).
        raise RemoteProtocolError("CONNECT has no body")
    if has_coding:
        if head.version == HTTP_10:
            raise RemoteProtocolError("Transfer-Encoding in HTTP/1.0")
        if has_length:
            raise RemoteProtocolError("both Content-Length and Transfer-Encoding")
        return _coding(fields)
    length = _length(fields)
    return Framing(BodyKind.LENGTH, length) if length else NO_BODY


def response_framing(head: ResponseHead, request_method: bytes) -> Framing:
    """How the body of this response to `request_method` is delimited (RFC 9112 6.3).

    Raises `RemoteProtocolError` (UPSTREAM_PROTOCOL).
    """
    try:
        return _response_framing(head, request_method)
    except RemoteProtocolError as error:
        raise RemoteProtocolError(error.reason, Failure.UPSTREAM_PROTOCOL) from None


def _response_framing(head: ResponseHead, request_method: bytes) -> Framing:
    if request_method == b"CONNECT" and 200 <= head.status < 300:
        # Whatever else the head says: "a client MUST ignore" both there (RFC 9110 9.3.6).
        return NO_BODY
    fields = head.fields
    has_coding = b"transfer-encoding" in fields
    has_length = b"content-length" in fields
    if has_coding and has_length:
        raise RemoteProtocolError("both Content-Length and Transfer-Encoding")
    if has_coding and head.version == HTTP_10:
        raise RemoteProtocolError("Transfer-Encoding in HTTP/1.0")
    # Checked where it frames nothing too: a length is passed on, and somebody may go by it.
    length = _length(fields) if has_length else 0
    coding = _coding(fields) if has_coding else None
    if head.status < 200 or head.status in (204, 304) or request_method == b"HEAD":
        return NO_BODY
    if coding is not None:
        return coding
    if has_length:
        return Framing(BodyKind.LENGTH, length) if length else NO_BODY
    return UNTIL_CLOSE


def _coding(fields: Fields) -> Framing:
    values = fields.get_all(b"transfer-encoding")
    if [value.lower() for value in values] == [b"chunked"]:
        return CHUNKED
    codings = fields.tokens(b"transfer-encoding")
    if len(codings) > 1 and codings[-1] == b"chunked" and codings.count(b"chunked") == 1:
        raise RemoteProtocolError("unknown transfer coding", Failure.NOT_IMPLEMENTED)
    raise RemoteProtocolError("Transfer-Encoding is not one list that ends in its only chunked")


def _length(fields: Fields) -> int:
    values = fields.get_all(b"content-length")
    if len(values) != 1 or not _LENGTH.fullmatch(values[0]):
        raise RemoteProtocolError("Content-Length is not one number")
    return int(values[0])


def _check_host(head: RequestHead) -> None:
    """RFC 9112 3.2: exactly one valid Host in HTTP/1.1; at most one, and valid, in HTTP/1.0."""
    values = head.fields.get_all(b"host")
    if len(values) > 1:
        raise RemoteProtocolError("more than one Host field")
    if not values:
        if head.version == HTTP_10:
            return
        raise RemoteProtocolError("no Host field")
    match = _HOST.fullmatch(values[0])
    if match is None or (match[1] and not _is_ipv6(match[1])):
        raise RemoteProtocolError("malformed Host field")


def _is_ipv6(text: bytes) -> bool:
    try:
        ipaddress.IPv6Address(text.decode("ascii"))
    except ValueError:
        return False
    return True
