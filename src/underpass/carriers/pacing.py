"""`Pacing`: how large pieces are and how many are under way, as the path allows. Pure.

It grows while that helps, and shrinks when a box on the way objects. One is kept for each kind of
carrier and route, and outlives its carriers: what was learned is not learned twice.
"""

from __future__ import annotations

FIRST_SIZE = 64 * 1024
LARGEST_SIZE = 1024 * 1024
SMALLEST_SIZE = 1024
FIRST_WIDTH = 2
LARGEST_WIDTH = 16

# A full piece that took longer than this to be answered is large enough.
SLOW_SECONDS = 1.0

# How long an idle request may wait at the server, and what is left of that after a box cut one.
FIRST_HOLD_SECONDS = 25.0
LEAST_HOLD_SECONDS = 4.0
_HOLD_MARGIN = 0.8

TOO_LARGE = 413
# A box or the server has too much to do.
OVERLOAD = frozenset({429, 503})
# A box gave up on a request: too large, too slow, or too many.
OBJECTIONS = frozenset({408, TOO_LARGE, 429, 500, 502, 503, 504})


class Pacing:
    """See the module. `size` in bytes, `width` in requests at once, `hold` in seconds."""

    __slots__ = ("_ceiling", "hold", "size", "width", "width_ceiling")

    def __init__(self) -> None:
        self.size = FIRST_SIZE
        self.width = FIRST_WIDTH
        self.hold = FIRST_HOLD_SECONDS
        # Above these the path has objected.
        self._ceiling = LARGEST_SIZE
        self.width_ceiling = LARGEST_WIDTH

    def __repr__(self) -> str:
        return f"<Pacing {self.size} bytes, {self.width} at once, hold {self.hold:g} s>"

    def succeeded(self, size: int, seconds: float) -> None:
        """A piece of `size` bytes was answered after so many seconds."""
        if size < self.size:
            return
        if seconds < SLOW_SECONDS:
            self.size = min(self.size * 2, self._ceiling)
        self.width = min(self.width + 1, self.width_ceiling)

    def came(self, size: int) -> None:
        """An answer of `size` bytes came down: while much comes, more may be under way."""
        if size >= FIRST_SIZE:
            self.width = min(self.width + 1, self.width_ceiling)
        elif not size:
            self.width = min(FIRST_WIDTH, self.width_ceiling)

    def objected(self, status: int, size: int) -> None:
        """A piece of `size` bytes came to nothing; `status` is 0 where no answer came."""
        if status == TOO_LARGE:
            # A limit: it stays.
            self._ceiling = max(SMALLEST_SIZE, size // 2)
        if status in OVERLOAD:
            self.width = max(1, self.width // 2)
        self.size = max(SMALLEST_SIZE, min(self.size // 2, self._ceiling))

    def one_at_a_time(self) -> None:
        """The path answers one request after the other: more would only wait."""
        self.width = self.width_ceiling = 1

    def idle_cut(self, seconds: float) -> None:
        """An idle request was cut after so many seconds."""
        self.hold = max(LEAST_HOLD_SECONDS, min(self.hold, seconds * _HOLD_MARGIN))
