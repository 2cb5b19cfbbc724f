"""`Reassembly`: a stream's bytes put back in order as they come, until the application reads them.

What is kept is bounded by the credit that was given (the caller checks every offset against it),
and its overhead by two rules: small pieces that wait are joined, and pieces out of order are at
most `MAX_SEGMENTS`.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from underpass.errors import RemoteProtocolError
from underpass.protocol.frames import Payload

# As many as records can be missing: an honest sender leaves no more gaps.
MAX_SEGMENTS: Final = 8192
# In all streams of a session together: they cost some 10 MB. Those without a gap between are one.
MAX_SESSION_SEGMENTS: Final = 65_536

# Waiting pieces shorter than this are joined, into pieces of up to this many bytes: an object costs
# some 50 bytes whatever it holds.
_SMALL: Final = 1024
_JOINED: Final = 16 * 1024
# Pieces that may wait before joining begins: a reader that keeps up never pays for it.
_UNJOINED: Final = 32
# Pieces that have been read are dropped from the list so many at a time.
_READ_AT_ONCE: Final = 64


class Pieces:
    """How many pieces wait out of order in all streams of a session."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Reassembly:
    """The receiving half of one stream's bytes. `end` is the offset up to which all has come."""

    __slots__ = ("_ahead", "_ahead_bytes", "_all", "_chunks", "_head", "end", "size")

    def __init__(self, pieces: Pieces) -> None:
        self._all = pieces
        self._chunks: list[Payload | bytearray] = []
        # Chunks before this index have been read.
        self._head = 0
        # Offset and bytes of pieces after a gap, by offset; None until there is one.
        self._ahead: list[tuple[int, bytes]] | None = None
        self._ahead_bytes = 0
        self.end = 0
        # Bytes in order that wait to be read.
        self.size = 0

    @property
    def has_gap(self) -> bool:
        """Whether something is missing before bytes that have come."""
        return self._ahead is not None

    def has_beyond(self, offset: int) -> bool:
        """Whether bytes at or after `offset` have come."""
        if self.end > offset:
            return True
        return self._ahead is not None and any(
            start + len(data) > offset for start, data in self._ahead
        )

    def insert(self, offset: int, data: Payload, limit: int) -> None:
        """Take in `data` at `offset`; bytes that have come before count once.

        `limit` bounds the bytes kept out of order. Raises `RemoteProtocolError` beyond the bounds.
        """
        if offset == self.end and self._ahead is None and len(self._chunks) < _UNJOINED:
            # As nearly always: in order, and read as it comes.
            size = len(data)
            self.end += size
            self.size += size
            self._chunks.append(data)
        elif offset > self.end:
            self._keep(offset, data, limit)
        else:
            self._append(data[self.end - offset :])
            if self._ahead is not None:
                self._close_gaps()

    def read(self, limit: int) -> Payload:
        """Return up to `limit` bytes in order, ``b""`` if none wait."""
        chunks = self._chunks
        if not chunks:
            return b""
        if self.size <= _JOINED and self.size <= limit:
            return self._read_all()
        chunk = chunks[self._head]
        size = len(chunk)
        if size > limit:
            chunks[self._head] = chunk[limit:]
            chunk = chunk[:limit]
            size = limit
        elif size == self.size:
            chunks.clear()
            self._head = 0
        else:
            self._drop_one()
        self.size -= size
        return bytes(chunk) if isinstance(chunk, bytearray) else chunk

    def _read_all(self) -> Payload:
        """All that waits, which is little: joined, as each piece would cost the reader a write."""
        chunks = self._chunks
        if len(chunks) == 1:
            chunk = chunks.pop()
            data = bytes(chunk) if isinstance(chunk, bytearray) else chunk
        else:
            data = b"".join(chunks[self._head :])
            chunks.clear()
            self._head = 0
        self.size = 0
        return data

    def _drop_one(self) -> None:
        # Nothing that has been read is kept, until the list itself is cut.
        self._chunks[self._head] = b""
        self._head += 1
        if self._head > _READ_AT_ONCE:
            del self._chunks[: self._head]
            self._head = 0

    def clear(self) -> None:
        """Drop all that waits."""
        if self.size:
            self._chunks.clear()
            self._head = 0
            self.size = 0
        if self._ahead is not None:
            self._all.count -= len(self._ahead)
            self._ahead = None
            self._ahead_bytes = 0

    def _append(self, data: Payload) -> None:
        size = len(data)
        self.end += size
        self.size += size
        if size and size < _SMALL and self._chunks:
            self._join(data)
        elif size:
            self._chunks.append(data)

    def _join(self, data: Payload) -> None:
        last = self._chunks[-1]
        if len(last) + len(data) > _JOINED:
            self._chunks.append(data)
            return
        if not isinstance(last, bytearray):
            last = bytearray(last)
            self._chunks[-1] = last
        last += data

    def _keep(self, offset: int, data: Payload, limit: int) -> None:
        ahead = self._ahead
        if ahead is None:
            ahead = self._ahead = []
        self._ahead_bytes += len(data)
        if len(ahead) >= MAX_SEGMENTS or self._ahead_bytes > limit:
            raise RemoteProtocolError("too much of a stream is out of order")
        # A copy, so that a piece that waits long holds no record alive.
        piece = bytes(data)
        at = bisect_left(ahead, offset, key=_offset)
        if at:
            start, before = ahead[at - 1]
            if start + len(before) == offset and len(before) + len(piece) <= _JOINED:
                ahead[at - 1] = (start, before + piece)
                return
        self._all.count += 1
        if self._all.count > MAX_SESSION_SEGMENTS:
            raise RemoteProtocolError("too much of a session is out of order")
        ahead.insert(at, (offset, piece))

    def _close_gaps(self) -> None:
        ahead = self._ahead or []
        count = 0
        for offset, data in ahead:
            if offset > self.end:
                break
            self._ahead_bytes -= len(data)
            self._append(data[self.end - offset :])
            count += 1
        del ahead[:count]
        self._all.count -= count
        if not ahead:
            self._ahead = None


def _offset(segment: tuple[int, bytes]) -> int:
    return segment[0]
