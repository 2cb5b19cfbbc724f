"""Datagrams that wait to be sent: few and not for long, as a late one is worth nothing."""

from __future__ import annotations

from collections import deque
from typing import Final

from underpass.errors import LocalProtocolError
from underpass.protocol.frame_codec import encode_datagram
from underpass.protocol.frames import MAX_DATAGRAM_BYTES

# A burst of a video call; what is beyond, or older, is dropped, the oldest first.
MAX_QUEUED: Final = 256
MAX_AGE_SECONDS: Final = 0.5


class DatagramQueue:
    """Datagrams of all streams, encoded, oldest first."""

    __slots__ = ("dropped", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self.waiting)

    def clear(self) -> None:
        """Drop all."""
        self.waiting.clear()

    def add(self, stream: int, data: bytes, now: float) -> None:
        """Let a datagram wait. Raises `LocalProtocolError` for one that is too long."""
        if len(data) > MAX_DATAGRAM_BYTES:
            raise LocalProtocolError(f"a datagram over {MAX_DATAGRAM_BYTES} bytes")
        self.waiting.append((now, encode_datagram(stream, data)))
        if len(self.waiting) > MAX_QUEUED:
            self.waiting.popleft()
            self.dropped += 1

    def take(self, room: int, now: float) -> bytes | None:
        """The frame of the oldest datagram that is not late, if it fits into `room` bytes."""
        waiting = self.waiting
        while waiting and now - waiting[0][0] > MAX_AGE_SECONDS:
            waiting.popleft()
            self.dropped += 1
        if not waiting or len(waiting[0][1]) > room:
            return None
        return waiting.popleft()[1]
