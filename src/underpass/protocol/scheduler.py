"""Whose turn it is: streams with something to send, in turn, those that send little first.

Deficit round robin with two classes. A stream is brisk until it has sent `BRISK_BYTES` without a
pause: a keystroke, a request, the first bytes of a page. Brisk streams go before the others, but
not always, so that a flood of them starves nobody.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from underpass.protocol.mux_stream import MuxStream

# What a stream sends in one turn: enough that a turn's cost does not show, and at 10 Mbit/s the
# next stream waits 13 ms.
QUANTUM: Final = 16 * 1024
# A web page's request and first answer; a stream that sends more in one go is a transfer.
BRISK_BYTES: Final = 64 * 1024
# Turns of brisk streams before one of the others.
BRISK_TURNS: Final = 8


class Scheduler:
    """Streams that can send, each in it once, in one of two queues."""

    __slots__ = ("_turns", "brisk", "bulk")

    def __init__(self) -> None:
        self.brisk: deque[MuxStream] = deque()
        self.bulk: deque[MuxStream] = deque()
        self._turns = 0

    def __len__(self) -> int:
        return len(self.brisk) + len(self.bulk)

    def add(self, stream: MuxStream) -> None:
        """`stream`, which is not ready yet, has something to send."""
        stream.is_ready = True
        stream.burst = 0
        self.brisk.append(stream)

    def resume(self, stream: MuxStream) -> None:
        """`stream`, which had more to send than credit, has credit: it goes on as what it was."""
        stream.is_ready = True
        self._queue(stream)

    def must_share(self, stream: MuxStream) -> bool:
        """Whether the turn of `stream` is to leave room in its record for the next.

        Not when it is a transfer that only other transfers wait for: a record each, and each is
        read and written in one piece at the other end.
        """
        return bool(self.brisk) or (bool(self.bulk) and stream.burst < BRISK_BYTES)

    def pause(self, stream: MuxStream, sent: int) -> None:
        """`stream` has sent so many bytes in its turn, and has no more or no credit for it."""
        stream.is_ready = False
        # One without credit has not paused: it waits.
        stream.burst = stream.burst + sent if stream.pending else 0

    def next(self) -> MuxStream | None:
        """Remove and return the stream whose turn it is; `again` puts it back.

        One that has ended while it waited has nothing to send any more.
        """
        if not self.bulk:
            return self.brisk.popleft() if self.brisk else None
        if self.brisk and self._turns < BRISK_TURNS:
            self._turns += 1
            return self.brisk.popleft()
        self._turns = 0
        return self.bulk.popleft()

    def again(self, stream: MuxStream, sent: int) -> None:
        """`stream` has sent so many bytes in its turn, and has more."""
        stream.burst += sent
        self._queue(stream)

    def _queue(self, stream: MuxStream) -> None:
        queue = self.brisk if stream.burst < BRISK_BYTES else self.bulk
        queue.append(stream)

    def clear(self) -> None:
        """Drop all."""
        self.brisk.clear()
        self.bulk.clear()
