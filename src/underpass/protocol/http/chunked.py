"""The chunked transfer coding (RFC 9112 section 7.1)."""

from __future__ import annotations

import re
from collections.abc import Generator

from underpass.errors import RemoteProtocolError
from underpass.protocol.grammar import Buffer, Need, Parser
from underpass.protocol.http.fields import TOKEN, Fields
from underpass.protocol.http.head import DEFAULT_LIMITS, HeadLimits, parse_field_section

# 15 hexadecimal digits hold 2^60 bytes: no real chunk is longer, and no sum of them overflows.
# Extensions are checked and dropped: nobody uses them, but to smuggle (CVE-2025-22871).
_QUOTED = rb"\"(?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t\x20-\x7e])*\""
_EXTENSION = rb"[\t ]*;[\t ]*%s(?:[\t ]*=[\t ]*(?:%s|%s))?" % (TOKEN, TOKEN, _QUOTED)
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:%s)*" % _EXTENSION)

# A chunk's size line with its extensions; and extensions of all chunks of a body together. The
# second keeps a body of one-byte chunks from being mostly extensions (CVE-2023-39326).
SIZE_LINE_BYTES = 256
EXTENSION_BYTES = 16 * 1024

# Fields that frame, route or authenticate a message never come after it (RFC 9110 6.5.1).
FORBIDDEN_TRAILERS = frozenset(
    {
        b"transfer-encoding",
        b"content-length",
        b"host",
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"upgrade",
        b"expect",
        b"max-forwards",
        b"range",
        b"cache-control",
        b"authorization",
        b"proxy-authorization",
        b"proxy-authenticate",
        b"www-authenticate",
        b"cookie",
        b"set-cookie",
        b"content-encoding",
        b"content-type",
        b"content-range",
    }
)

NO_FIELDS = Fields()


def encode_chunk(data: bytes) -> bytes:
    """One chunk; nothing for no data, as an empty chunk would end the body."""
    return b"%x\r\n%s\r\n" % (len(data), data) if data else b""


def encode_last_chunk(trailers: Fields = NO_FIELDS) -> bytes:
    """The end of a body, with its trailer fields."""
    lines = [b"%s: %s\r\n" % pair for pair in trailers.without(FORBIDDEN_TRAILERS)]
    return b"0\r\n" + b"".join(lines) + b"\r\n"


def decode_chunked(
    buffer: Buffer, limits: HeadLimits = DEFAULT_LIMITS
) -> Generator[bytes | Need, None, Fields]:
    """Yield the body's data piece by piece as it comes, and return the trailer fields.

    Raises `RemoteProtocolError` for anything that is not exactly the grammar, and `EndOfData`.
    """
    budget = EXTENSION_BYTES
    while True:
        line = yield from buffer.read_line(SIZE_LINE_BYTES)
        match = _SIZE_LINE.fullmatch(line) if line is not None else None
        if match is None or line is None:
            raise RemoteProtocolError("malformed chunk size")
        budget -= len(line) - len(match[1])
        if budget < 0:
            raise RemoteProtocolError("too many chunk extensions")
        size = int(match[1], 16)
        if not size:
            return (yield from _trailers(buffer, limits))
        while size:
            if not len(buffer):
                yield from buffer.more()
            data = buffer.take(size)
            size -= len(data)
            yield data
        if (yield from buffer.read_exact(2)) != b"\r\n":
            raise RemoteProtocolError("no CRLF after a chunk")


def _trailers(buffer: Buffer, limits: HeadLimits) -> Parser[Fields]:
    lines: list[bytes] = []
    size = 0
    while True:
        line = yield from buffer.read_line(limits.section)
        size += len(line or b"") + 2
        if line is None or size > limits.section:
            raise RemoteProtocolError("trailer section too large")
        lines.append(line + b"\r\n")
        if not line:
            return parse_field_section(b"".join(lines), limits).without(FORBIDDEN_TRAILERS)
