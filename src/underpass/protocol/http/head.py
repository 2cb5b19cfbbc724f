"""Heads of HTTP/1 messages: parsed strictly from bytes, written anew (RFC 9112 sections 2 to 5).

The grammar is the RFC's at its strictest: CRLF ends each line, one space parts the start line, no
space before a colon, no folded lines, no control characters. What a lenient parser would repair is
refused, because the next parser in the path may repair it in another way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from underpass.errors import Failure, LocalProtocolError, RemoteProtocolError
from underpass.protocol.http.fields import TOKEN, VALUE, Fields

Version: TypeAlias = tuple[int, int]

HTTP_10: Version = (1, 0)
HTTP_11: Version = (1, 1)
_PROTOCOL = {HTTP_10: b"HTTP/1.0", HTTP_11: b"HTTP/1.1"}

# RFC 9112 section 3 recommends at least 8000 octets for a request line; browsers and CDNs go to 8
# or 16 KiB, tunnels that carry data in the target like them long.
TARGET_BYTES = 16 * 1024
# As nginx (4 × 8 KiB) and Apache (100 × 8 KiB) bound it, in the middle.
SECTION_BYTES = 64 * 1024
# Apache's LimitRequestFields. A browser sends about 20.
FIELD_COUNT = 100
# The longest registered method has 16 characters (UPDATEREDIRECTREF has 17).
METHOD_BYTES = 32


@dataclass(frozen=True, slots=True)
class HeadLimits:
    """Bounds on one head: bytes of the target and of the whole section, and number of fields."""

    target: int = TARGET_BYTES
    section: int = SECTION_BYTES
    fields: int = FIELD_COUNT


DEFAULT_LIMITS = HeadLimits()


class RequestHead(NamedTuple):
    """A request's head."""

    method: bytes
    target: bytes
    version: Version
    fields: Fields


class ResponseHead(NamedTuple):
    """A response's head."""

    status: int
    reason: bytes
    version: Version
    fields: Fields


_REQUEST_LINE = re.compile(rb"(%s) ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])\r\n" % TOKEN)
_STATUS_LINE = re.compile(
    rb"HTTP/([0-9])\.([0-9]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n"
)
_SECTION = re.compile(rb"(?:%s: %s\r\n)*+\r\n" % (TOKEN, VALUE))
# Finds whole lines alone: each match begins where a line does, and holds the one LF at its end.
_FIELD_LINES = re.compile(rb"(?m)^(%s):[\t ]*+(%s)[\t ]*+\r\n" % (TOKEN, VALUE))
_FIELD = b": ".join


def parse_request_head(data: bytes, limits: HeadLimits = DEFAULT_LIMITS) -> RequestHead:
    """Parse a whole head, with the empty line that ends it.

    Raises `RemoteProtocolError` with the failure to answer: BAD_REQUEST, TARGET_TOO_LONG,
    HEADERS_TOO_LARGE, NOT_IMPLEMENTED (a method too long), VERSION_NOT_SUPPORTED.
    """
    line = _REQUEST_LINE.match(data)
    if line is None:
        raise RemoteProtocolError("malformed request line")
    method, target, major, minor = line.groups()
    if major != b"1":
        raise RemoteProtocolError("HTTP/1 is spoken here", Failure.VERSION_NOT_SUPPORTED)
    if len(method) > METHOD_BYTES:
        raise RemoteProtocolError("method too long", Failure.NOT_IMPLEMENTED)
    if len(target) > limits.target:
        raise RemoteProtocolError(f"target over {limits.target} bytes", Failure.TARGET_TOO_LONG)
    # A later minor version of HTTP/1 is spoken as the latest we know (RFC 9110 2.5).
    version = HTTP_10 if minor == b"0" else HTTP_11
    fields = _parse_fields(data, line.end(), limits, Failure.HEADERS_TOO_LARGE)
    return RequestHead(method, target, version, fields)


def parse_response_head(data: bytes, limits: HeadLimits = DEFAULT_LIMITS) -> ResponseHead:
    """Parse a whole head, with the empty line that ends it.

    Raises `RemoteProtocolError`: UPSTREAM_PROTOCOL or RESPONSE_HEADERS_TOO_LARGE.
    """
    line = _STATUS_LINE.match(data)
    if line is None:
        raise RemoteProtocolError("malformed status line", Failure.UPSTREAM_PROTOCOL)
    major, minor, status, reason = line.groups()
    if major != b"1":
        raise RemoteProtocolError("not an HTTP/1 response", Failure.UPSTREAM_PROTOCOL)
    version = HTTP_10 if minor == b"0" else HTTP_11
    try:
        fields = _parse_fields(data, line.end(), limits, Failure.RESPONSE_HEADERS_TOO_LARGE)
    except RemoteProtocolError as error:
        if error.failure is Failure.BAD_REQUEST:
            raise RemoteProtocolError(error.reason, Failure.UPSTREAM_PROTOCOL) from None
        raise
    return ResponseHead(int(status), (reason or b"").strip(), version, fields)


def parse_field_section(data: bytes, limits: HeadLimits = DEFAULT_LIMITS) -> Fields:
    """Parse field lines and the empty line that ends them, as in a trailer section."""
    return _parse_fields(data, 0, limits, Failure.HEADERS_TOO_LARGE)


def _parse_fields(data: bytes, start: int, limits: HeadLimits, too_many: Failure) -> Fields:
    end = len(data) - 2
    lines = data.count(b"\n", start, end)
    # Before they are looked at: thousands of them would cost more than they do to send.
    if lines > limits.fields:
        raise RemoteProtocolError(f"more than {limits.fields} fields", too_many)
    pairs: list[tuple[bytes, bytes]] = _FIELD_LINES.findall(data, start, end)
    # As many as there are LFs: each line is one field, whole, and after them comes the empty line.
    if len(pairs) != lines or data[data.rfind(b"\n", 0, end) + 1 :] != b"\r\n":
        raise RemoteProtocolError("malformed header field")
    return Fields(pairs)


def serialise_request(head: RequestHead) -> bytes:
    """Write a request's head. Raises `LocalProtocolError` for what would not parse back."""
    line = b"%b %b %b\r\n" % (head.method, head.target, _PROTOCOL[head.version])
    if not _REQUEST_LINE.fullmatch(line):
        raise LocalProtocolError("request line can't be written")
    return line + _serialise_fields(head.fields)


def serialise_response(head: ResponseHead) -> bytes:
    """Write a response's head. Raises `LocalProtocolError` for what would not parse back."""
    line = b"%b %d %b\r\n" % (_PROTOCOL[head.version], head.status, head.reason)
    if not _STATUS_LINE.fullmatch(line):
        raise LocalProtocolError("status line can't be written")
    return line + _serialise_fields(head.fields)


def _serialise_fields(fields: Fields) -> bytes:
    section = b"\r\n".join([*map(_FIELD, fields.pairs), b"\r\n"])
    # As many lines as fields: else a name or value held the end of one.
    if not _SECTION.fullmatch(section) or section.count(b"\n") != len(fields.pairs) + 1:
        raise LocalProtocolError("a header field can't be written")
    return section
