"""Flow control as its receiver does it: credit for one stream, and the pool all streams share.

Credit is granted only as the application reads, so a stalled reader costs at most its own window.
Every stream's first window is reserved for it; all further credit comes from the session's pool.
When the pool is empty windows do not grow, and nobody stops.
"""

from __future__ import annotations

from typing import Final

# What a window becomes when its application has proved that it reads, and where growing ends.
# 256 KiB fill 20 Mbit/s at 100 ms; 16 MiB fill 640 Mbit/s at 200 ms.
TUNED_WINDOW: Final = 256 * 1024
MAX_WINDOW: Final = 16 * 1024 * 1024

# Half a window read within this many round trips: the window, not the reader, is the limit.
FAST_ROUND_TRIPS: Final = 2


class Pool:
    """Credit beyond the first windows, for all streams of one session."""

    __slots__ = ("left", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.left = size

    def take(self, wanted: int) -> int:
        """Return as much of `wanted` as there is."""
        taken = min(wanted, self.left)
        self.left -= taken
        return taken

    def give_back(self, size: int) -> None:
        """Return credit that was taken."""
        self.left += size


class ReceiveWindow:
    """One stream's credit. `limit` is the offset below which the other end may send."""

    __slots__ = ("_initial", "_since", "consumed", "limit", "size")

    def __init__(self, initial: int) -> None:
        self._initial = initial
        self._since = 0.0
        self.size = initial
        self.limit = initial
        self.consumed = 0

    def consume(self, size: int, now: float, delay: float, pool: Pool) -> bool:
        """The application has read `size` bytes; return whether the new `limit` should be told.

        `delay` is the round-trip time in seconds, as far as it is known.
        """
        self.consumed += size
        if self.limit - self.consumed > self.size >> 1:
            return False
        self._tune(now, delay, pool)
        self.limit = self.consumed + self.size
        return True

    def _tune(self, now: float, delay: float, pool: Pool) -> None:
        since, self._since = self._since, now
        if self.size < TUNED_WINDOW:
            wanted = TUNED_WINDOW
        elif now - since < FAST_ROUND_TRIPS * delay:
            wanted = min(self.size * 2, MAX_WINDOW)
        else:
            return
        if wanted > self.size:
            self.size += pool.take(wanted - self.size)

    def release(self, pool: Pool) -> None:
        """The stream is over: what it took goes back."""
        if self.size != self._initial:
            pool.give_back(self.size - self._initial)
            self.size = self._initial
