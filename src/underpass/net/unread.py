"""`Unread`: what has come over a stream, and waits for whoever receives it."""

from __future__ import annotations

from collections import deque
from typing import Final

# What a stream holds that has nothing unread: an empty deque of its own would take 600 bytes.
NONE_UNREAD: Final[deque[bytes]] = deque(maxlen=0)


class Unread:
    """The part of a stream that is its unread bytes. `_chunks` begins as `NONE_UNREAD`."""

    __slots__ = ("_chunks", "_unread_size")

    _chunks: deque[bytes]
    _unread_size: int

    @property
    def unread_size(self) -> int:
        """Bytes that have come and that nobody has received."""
        return self._unread_size

    def unread(self, data: bytes) -> None:
        """As `Stream.unread`."""
        if data:
            if self._chunks is NONE_UNREAD:
                self._chunks = deque()
            self._chunks.appendleft(data)
            self._unread_size += len(data)

    def _keep_unread(self, data: bytes) -> None:
        if self._chunks is NONE_UNREAD:
            self._chunks = deque()
        self._chunks.append(data)
        self._unread_size += len(data)

    def _take_unread(self, limit: int) -> bytes:
        """The first chunk, up to `limit` bytes of it."""
        data = self._chunks.popleft()
        if len(data) > limit:
            # All at once: cut one by one, what is left would be copied for each.
            rest = [data[at : at + limit] for at in range(limit, len(data), limit)]
            self._chunks.extendleft(reversed(rest))
            data = data[:limit]
        self._unread_size -= len(data)
        return data

    def _drop_unread(self) -> None:
        self._chunks = NONE_UNREAD
        self._unread_size = 0
