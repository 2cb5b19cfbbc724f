"""`Pacing`: how large pieces are and how many are under way, as the path allows. Pure.

It grows while that helps, and shrinks when a box on the way objects or a queue builds up. One is
kept for each kind of carrier and route, and outlives its carriers: what was learned is not learned
twice.

What helps is told by time. A piece that takes little longer than the quickest ever did finds the
line free, so more may be under way; one that takes much longer waits in some queue, where it only
delays what is urgent. More pieces come before larger ones: a box that holds each back until it is
whole costs the time of one piece, not of all.
"""

from __future__ import annotations

import math

FIRST_SIZE = 64 * 1024
LARGEST_SIZE = 1024 * 1024
# Below this the heads of requests and responses cost more than what they bring.
SMALLEST_SIZE = 1024
# A queue makes pieces no smaller than this: beyond it fewer are under way instead.
SMALL_SIZE = 16 * 1024
FIRST_WIDTH = 2
LARGEST_WIDTH = 16

# In seconds beyond 1.5 times and 2.5 times the quickest.
_GROW_WITHIN = 0.15
_SHRINK_BEYOND = 0.4
# How fast the quickest is forgotten: the path may have changed.
_FORGET = 0.01

# How long an idle request may wait at the server, and what is left of that after a box cut one.
FIRST_HOLD_SECONDS = 25.0
LEAST_HOLD_SECONDS = 5.0
_HOLD_MARGIN = 0.8
# What was cut sooner was not cut for being idle: no box is so impatient.
_IDLE_SECONDS = 4.0
# Where one request goes at a time, or may, what is to go up waits for an idle one to come back.
SERIAL_HOLD_SECONDS = 1.0

# A body, a target or a head beyond a limit.
TOO_LARGE = frozenset({413, 414, 431})
# A box or the server has too much to do.
OVERLOAD = frozenset({429, 503})
# A box gave up on a request, and perhaps would not have on a smaller one.
TOO_MUCH = frozenset({408, 500, 502, 504}) | TOO_LARGE
OBJECTIONS = TOO_MUCH | OVERLOAD


class Flow:
    """One direction: `size` of a piece in bytes, `width` in pieces under way at once."""

    __slots__ = ("_ceiling", "_quickest", "_widest", "size", "width")

    def __init__(self) -> None:
        self.size = FIRST_SIZE
        self.width = FIRST_WIDTH
        # Above this the path has objected.
        self._ceiling = LARGEST_SIZE
        self._widest = LARGEST_WIDTH
        self._quickest: float | None = None

    def __repr__(self) -> str:
        return f"<Flow {self.size} bytes, {self.width} at once>"

    def bound(self, size: int) -> None:
        """No piece may have more than `size` bytes."""
        self._ceiling = min(self._ceiling, size)
        self.size = min(self.size, size)

    def passed(self, size: int, seconds: float) -> None:
        """A piece of `size` bytes was under way for so many seconds, and has passed."""
        quickest = seconds if self._quickest is None else self._quickest
        quickest += (seconds - quickest) * (1 if seconds < quickest else _FORGET)
        self._quickest = quickest
        if seconds > 2.5 * quickest + _SHRINK_BEYOND:
            self._shrink()
        elif size >= self.size // 2 and seconds < 1.5 * quickest + _GROW_WITHIN:
            self._grow()

    def _grow(self) -> None:
        if self.width < self._widest:
            self.width += 1
        else:
            self.size = min(self.size * 2, self._ceiling)

    def _shrink(self) -> None:
        if self.size > SMALL_SIZE:
            self.size //= 2
        else:
            self.width = min(self.width, max(FIRST_WIDTH, self.width - 1))

    def one_at_a_time(self) -> None:
        """More than one piece under way would only wait: larger ones are all that helps."""
        self.width = self._widest = 1
        self.size = max(self.size, min(FIRST_SIZE, self._ceiling))

    def rests(self) -> None:
        """Nothing goes this way: a few requests are enough for what may come."""
        self.width = min(self.width, FIRST_WIDTH)

    def objected(self, status: int, size: int) -> None:
        """A piece of `size` bytes came to nothing; `status` is 0 where no answer came."""
        if status in OVERLOAD:
            self.width = max(1, self.width // 2)
            return
        smaller = max(SMALLEST_SIZE, min(self.size, size // 2))
        if status in TOO_LARGE:
            # A limit: it stays.
            self.bound(smaller)
        elif size > SMALL_SIZE:
            self.size = smaller


# A doubt is what was seen of a path just now, not what is known of it.
DOUBT_SECONDS = 10.0


class SharedPath:
    """What the kinds of carriers tell each other of the path that they share."""

    __slots__ = ("_doubted_at",)

    def __init__(self) -> None:
        self._doubted_at = -math.inf

    def doubt(self, now: float) -> None:
        """Nothing was answered while one request waited: perhaps one goes through at a time."""
        self._doubted_at = now

    @property
    def has_been_doubted(self) -> bool:
        """Whether it was, at any time."""
        return self._doubted_at > -math.inf

    def is_doubted(self, now: float) -> bool:
        """Whether that was just now; `now` in seconds of a steady clock."""
        return now < self._doubted_at + DOUBT_SECONDS


class Pacing:
    """Both directions of one kind of carrier, and what else is known of its path.

    `hold` is for how many seconds an idle request may wait at the server. `is_serial`: the path
    lets one request at a time through; `is_parallel`: it has shown that it lets more. Until then
    nothing waits long, as a box may go on with a request that its client has given up.
    `refused`: methods that it does not let through, and POST in their place. `path` is what other
    kinds have seen of it.
    """

    __slots__ = ("_hold", "down", "is_parallel", "is_serial", "path", "refused", "up")

    def __init__(self, path: SharedPath | None = None) -> None:
        self.path = path or SharedPath()
        self.up = Flow()
        self.down = Flow()
        self.is_serial = False
        self.is_parallel = False
        self.refused: set[str] = set()
        self._hold = FIRST_HOLD_SECONDS

    def __repr__(self) -> str:
        serial = ", one at a time" if self.is_serial else ""
        return f"<Pacing up {self.up}, down {self.down}, hold {self.hold:g} s{serial}>"

    @property
    def hold(self) -> float:
        """Seconds, as asked for with ``Prefer: wait``."""
        may_wait = self.is_parallel and not self.is_serial
        return self._hold if may_wait else SERIAL_HOLD_SECONDS

    @property
    def idle_limit(self) -> float | None:
        """For how many seconds something may stand idle, where a box has taught that."""
        return self._hold if self._hold < FIRST_HOLD_SECONDS else None

    def turn_serial(self) -> None:
        """The path lets one request at a time through."""
        self.is_serial = True
        for flow in (self.up, self.down):
            flow.one_at_a_time()

    def was_cut(self, seconds: float) -> bool:
        """What was silent for so many seconds was cut; returns whether that tells of a limit."""
        if seconds < _IDLE_SECONDS:
            return False
        self._hold = max(LEAST_HOLD_SECONDS, min(self._hold, seconds * _HOLD_MARGIN))
        return True
