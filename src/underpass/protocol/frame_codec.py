"""The bytes of frames (docs/protocol.md section 6), encoded and parsed side by side.

`parse_frames` takes the whole content of a record that has been opened, and raises
`RemoteProtocolError` and nothing else. Fields are of fixed width, so that the fixed part of each
frame is one `struct` call.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from underpass.errors import Failure, RemoteProtocolError
from underpass.protocol.frames import (
    MAX_ACK_RANGES,
    MAX_DATA_BYTES,
    MAX_DATAGRAM_BYTES,
    MAX_DETAILS_BYTES,
    REFUSAL_CODES,
    REFUSALS,
    Ack,
    Close,
    Data,
    Datagram,
    Fin,
    Frame,
    GoAway,
    Open,
    Opened,
    Payload,
    Ping,
    Pong,
    Refused,
    Reset,
    Skip,
    Type,
    Window,
)

# With the type; the parser reads from the type on.
_OPEN: Final = struct.Struct("!BIBHB")
_OPENED: Final = struct.Struct("!BIB")
_REFUSED: Final = struct.Struct("!BIBH")
DATA_HEAD: Final = struct.Struct("!BIQH")
_STREAM_OFFSET: Final = struct.Struct("!BIQ")
_RESET: Final = struct.Struct("!BIB")
_ACK: Final = struct.Struct("!BHQB")
_RANGE: Final = struct.Struct("!QQ")
_SKIP: Final = struct.Struct("!BQQ")
_DATAGRAM: Final = struct.Struct("!BIH")
_PING: Final = struct.Struct("!BII")
_PONG: Final = struct.Struct("!BI")
_GOAWAY: Final = struct.Struct("!BIBH")
_CLOSE: Final = struct.Struct("!BBH")

# Plain numbers: looking an enum's member up costs as much as the rest of a small frame.
_TYPE_OPEN: Final = int(Type.OPEN)
_TYPE_OPENED: Final = int(Type.OPENED)
_TYPE_DATA: Final = int(Type.DATA)
_TYPE_FIN: Final = int(Type.FIN)
_TYPE_WINDOW: Final = int(Type.WINDOW)
_TYPE_ACK: Final = int(Type.ACK)


# --- encoding -------------------------------------------------------------------------------------


def encode_open(stream: int, kind: int, host: str, port: int) -> bytes:
    """OPEN."""
    name = host.encode("ascii")
    return _OPEN.pack(_TYPE_OPEN, stream, kind, port, len(name)) + name


def encode_opened(stream: int, bound: str) -> bytes:
    """OPENED."""
    name = bound.encode("ascii")
    return _OPENED.pack(_TYPE_OPENED, stream, len(name)) + name


def encode_refused(stream: int, failure: Failure, details: str) -> bytes:
    """REFUSED; details beyond the bound are cut."""
    code = REFUSAL_CODES.get(failure, 1)
    text = _text(details)
    return _REFUSED.pack(Type.REFUSED, stream, code, len(text)) + text


def encode_data(stream: int, offset: int, data: Payload) -> bytes:
    """DATA."""
    return DATA_HEAD.pack(_TYPE_DATA, stream, offset, len(data)) + data


def encode_fin(stream: int, offset: int) -> bytes:
    """FIN."""
    return _STREAM_OFFSET.pack(_TYPE_FIN, stream, offset)


def encode_reset(stream: int, code: int) -> bytes:
    """RESET."""
    return _RESET.pack(Type.RESET, stream, code)


def encode_window(stream: int, limit: int) -> bytes:
    """WINDOW."""
    return _STREAM_OFFSET.pack(_TYPE_WINDOW, stream, limit)


def encode_ack(ack: Ack) -> bytes:
    """ACK."""
    head = _ACK.pack(_TYPE_ACK, ack.delay, ack.next_seq, len(ack.ranges))
    if not ack.ranges:
        return head
    return head + b"".join([_RANGE.pack(first, last) for first, last in ack.ranges])


def encode_skip(first: int, last: int) -> bytes:
    """SKIP."""
    return _SKIP.pack(Type.SKIP, first, last)


def encode_datagram(stream: int, data: bytes) -> bytes:
    """DATAGRAM."""
    return _DATAGRAM.pack(Type.DATAGRAM, stream, len(data)) + data


def encode_ping(token: int, interval: int) -> bytes:
    """PING."""
    return _PING.pack(Type.PING, token, interval)


def encode_pong(token: int) -> bytes:
    """PONG."""
    return _PONG.pack(Type.PONG, token)


def encode_goaway(last: int, code: int, reason: str) -> bytes:
    """GOAWAY."""
    text = _text(reason)
    return _GOAWAY.pack(Type.GOAWAY, last, code, len(text)) + text


def encode_close(code: int, reason: str) -> bytes:
    """CLOSE."""
    text = _text(reason)
    return _CLOSE.pack(Type.CLOSE, code, len(text)) + text


def _text(text: str) -> bytes:
    """UTF-8 within the bound, cut between two characters."""
    data = text.encode("utf-8", "replace")[:MAX_DETAILS_BYTES]
    return data.decode("utf-8", "ignore").encode("utf-8")


# --- parsing --------------------------------------------------------------------------------------


_DATA_HEAD_BYTES: Final = DATA_HEAD.size
_unpack_data: Final = DATA_HEAD.unpack_from
_FIN_BYTES: Final = _STREAM_OFFSET.size
_unpack_stream_offset: Final = _STREAM_OFFSET.unpack_from
# Below this a copy is cheaper than a view.
VIEW_BYTES: Final = 4096
# Makes a named tuple without a Python call in between; for the frames that come most.
_new: Final = tuple.__new__


def parse_frames(record: bytes) -> list[Frame]:
    """Return the frames of one record's content, without padding.

    Raises `RemoteProtocolError` for anything that is not exactly the grammar.
    """
    found: list[Frame] = []
    at, end = 0, len(record)
    try:
        while at < end:
            kind = record[at]
            if kind == _TYPE_DATA:
                _, stream, offset, size = _unpack_data(record, at)
                start = at + _DATA_HEAD_BYTES
                at = start + size
                if at > end or not 0 < size <= MAX_DATA_BYTES:
                    raise RemoteProtocolError("DATA is empty or crosses the end of its record")
                data = record[start:at] if size < VIEW_BYTES else _payload(record, start, at)
                found.append(_new(Data, (stream, offset, data)))
            elif kind == _TYPE_FIN:
                _, stream, offset = _unpack_stream_offset(record, at)
                at += _FIN_BYTES
                found.append(_new(Fin, (stream, offset)))
            elif not kind:
                # PADDING.
                at += 1
            else:
                parse = _PARSERS.get(kind)
                if parse is None:
                    raise RemoteProtocolError(f"unknown frame type {kind}")
                other, at = parse(record, at)
                found.append(other)
    except struct.error:
        # The one place where a fixed part is found to cross the record's end.
        raise RemoteProtocolError("a frame crosses the end of its record") from None
    return found


def _payload(record: bytes, start: int, end: int) -> Payload:
    """A large payload as a view, which saves a copy, if it keeps at most as much again alive."""
    if (end - start) * 2 >= len(record):
        return memoryview(record)[start:end]
    return record[start:end]


def _take(record: bytes, at: int, size: int) -> tuple[bytes, int]:
    end = at + size
    if end > len(record):
        raise RemoteProtocolError("a frame crosses the end of its record")
    return record[at:end], end


def _take_name(record: bytes, at: int, size: int) -> tuple[str, int]:
    end = at + size
    if end > len(record):
        raise RemoteProtocolError("a frame crosses the end of its record")
    data = record[at:end]
    if not data.isascii():
        raise RemoteProtocolError("an address that is not ASCII")
    return data.decode("ascii"), end


def _take_text(record: bytes, at: int, size: int) -> tuple[str, int]:
    data, end = _take(record, at, size)
    if size > MAX_DETAILS_BYTES:
        raise RemoteProtocolError(f"a text over {MAX_DETAILS_BYTES} bytes")
    try:
        return data.decode("utf-8"), end
    except UnicodeDecodeError:
        raise RemoteProtocolError("a text that is not UTF-8") from None


def _parse_open(record: bytes, at: int) -> tuple[Open, int]:
    _, stream, kind, port, size = _OPEN.unpack_from(record, at)
    host, end = _take_name(record, at + _OPEN.size, size)
    return _new(Open, (stream, kind, host, port)), end


def _parse_opened(record: bytes, at: int) -> tuple[Opened, int]:
    _, stream, size = _OPENED.unpack_from(record, at)
    bound, end = _take_name(record, at + _OPENED.size, size)
    return _new(Opened, (stream, bound)), end


def _parse_refused(record: bytes, at: int) -> tuple[Refused, int]:
    _, stream, code, size = _REFUSED.unpack_from(record, at)
    details, end = _take_text(record, at + _REFUSED.size, size)
    return Refused(stream, REFUSALS.get(code, Failure.INTERNAL), details), end


def _parse_reset(record: bytes, at: int) -> tuple[Reset, int]:
    _, stream, code = _RESET.unpack_from(record, at)
    return Reset(stream, code), at + _RESET.size


def _parse_window(record: bytes, at: int) -> tuple[Window, int]:
    _, stream, limit = _STREAM_OFFSET.unpack_from(record, at)
    return Window(stream, limit), at + _STREAM_OFFSET.size


def _parse_ack(record: bytes, at: int) -> tuple[Ack, int]:
    _, delay, next_seq, count = _ACK.unpack_from(record, at)
    at += _ACK.size
    if count > MAX_ACK_RANGES:
        raise RemoteProtocolError("too many ranges in ACK")
    ranges: list[tuple[int, int]] = []
    lowest = next_seq + 1
    for _ in range(count):
        first, last = _RANGE.unpack_from(record, at)
        at += _RANGE.size
        if not lowest <= first <= last:
            raise RemoteProtocolError("the ranges of ACK do not rise")
        ranges.append((first, last))
        lowest = last + 2
    return _new(Ack, (delay, next_seq, tuple(ranges))), at


def _parse_skip(record: bytes, at: int) -> tuple[Skip, int]:
    _, first, last = _SKIP.unpack_from(record, at)
    if first > last:
        raise RemoteProtocolError("SKIP of a range that does not rise")
    return Skip(first, last), at + _SKIP.size


def _parse_datagram(record: bytes, at: int) -> tuple[Datagram, int]:
    _, stream, size = _DATAGRAM.unpack_from(record, at)
    if size > MAX_DATAGRAM_BYTES:
        raise RemoteProtocolError(f"a datagram over {MAX_DATAGRAM_BYTES} bytes")
    data, end = _take(record, at + _DATAGRAM.size, size)
    return Datagram(stream, data), end


def _parse_ping(record: bytes, at: int) -> tuple[Ping, int]:
    _, token, interval = _PING.unpack_from(record, at)
    return Ping(token, interval), at + _PING.size


def _parse_pong(record: bytes, at: int) -> tuple[Pong, int]:
    _, token = _PONG.unpack_from(record, at)
    return Pong(token), at + _PONG.size


def _parse_goaway(record: bytes, at: int) -> tuple[GoAway, int]:
    _, last, code, size = _GOAWAY.unpack_from(record, at)
    reason, end = _take_text(record, at + _GOAWAY.size, size)
    return GoAway(last, code, reason), end


def _parse_close(record: bytes, at: int) -> tuple[Close, int]:
    _, code, size = _CLOSE.unpack_from(record, at)
    reason, end = _take_text(record, at + _CLOSE.size, size)
    return Close(code, reason), end


_PARSERS: Final[dict[int, Callable[[bytes, int], tuple[Frame, int]]]] = {
    Type.OPEN: _parse_open,
    Type.OPENED: _parse_opened,
    Type.REFUSED: _parse_refused,
    Type.RESET: _parse_reset,
    Type.WINDOW: _parse_window,
    Type.ACK: _parse_ack,
    Type.SKIP: _parse_skip,
    Type.DATAGRAM: _parse_datagram,
    Type.PING: _parse_ping,
    Type.PONG: _parse_pong,
    Type.GOAWAY: _parse_goaway,
    Type.CLOSE: _parse_close,
}
