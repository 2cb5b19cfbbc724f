"""`Line`: keeps what waits in front of a TCP socket's line short, as long as that is slow.

What is urgent waits behind all that was sent before: in the transport, in the kernel, and in the
queues of the network, which a sender that only stops at losses fills to their end. All three are
held to a few milliseconds here:

- What the transport and the kernel hold beyond what is on its way follows the measured rate.
- The kernel is asked for BBR, which goes by the measured rate and delay, not by losses: under 0.5%
  loss at 80 ms it moves seven times as much as cubic. Where it may not be had, all stays as it is.
- While the round trip is longer than the shortest by more than `TOLERATED_SECONDS`, no more goes
  out than the rate carries within the shortest and that. Where this does not help the queue is
  somebody else's, and who yields to it gets nothing: then it is left alone for a while.

The kernel is asked after a write, and before a fast line at most every `LOOK_SECONDS`; an idle one
costs nothing. Linux only; elsewhere nothing is known, and nothing held. docs/decisions/010.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import math
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from underpass.net.stream import PORTION

# The share of the delay under load that this end allows the network's queues.
TOLERATED_SECONDS = 0.008
# Of the round trip's mean deviation: where the way itself varies, twice that is no queue.
DEVIATIONS = 2
# A rate that grew so much within so many round trips may grow further: nothing is held meanwhile.
GROWTH = 1.25
GROWING_ROUND_TRIPS = 3
# For how long a measured rate counts, at least.
BEST_SECONDS = 10.0
# Less than this is no queue of ours: what a new TCP stream may have out at once.
LEAST_OUT = 16 * 1024
# The kernel tries so many times the measured rate only while it finds out what the line carries.
STARTING = 2
# How often the kernel is asked, and how soon again while it is held.
LOOK_SECONDS = 0.005
HOLD_SECONDS = 0.003
# Of the measured rate: what one write is, and what the kernel holds beyond what is on its way. Less
# would leave the line idle where the loop has other work.
PORTION_SECONDS = 0.004
UNSENT_SECONDS = 0.008
LEAST_PORTION = 4 * 1024
MOST_PORTION = PORTION
# Bytes in the transport at which writers wait, where the line is fast.
MOST_BUFFER = 32 * 1024
LEAST_UNSENT = 8 * 1024
MOST_UNSENT = 64 * 1024
# The same while the kernel finds out what the line carries, of the rate that it tries: where it
# runs dry it never learns, and goes on trying too much.
STARTING_SECONDS = 0.010
MOST_STARTING = 1024 * 1024
# Held so long, and so many round trips, and the queue is still so many times what is tolerated: it
# is not ours. Left alone then.
FUTILE_SECONDS = 3.0
FUTILE_ROUND_TRIPS = 8
FUTILE_QUEUE = 2
ALONE_SECONDS = 10.0

# What a program may set a socket's buffer to, and what it grows to by itself (least, first, most).
_MOST_EXPLICIT = "/proc/sys/net/core/wmem_max"
_MOST_GROWN = "/proc/sys/net/ipv4/tcp_wmem"

# struct tcp_info of Linux: all that is read of it is within this.
_INFO_BYTES = 192
_MSS, _UNACKED, _RTT, _DEVIATION, _PACING = 16, 24, 68, 72, 104
_UNSENT, _MIN_RTT, _RATE = 144, 148, 160
_u32 = struct.Struct("=I").unpack_from
_u64 = struct.Struct("=Q").unpack_from


@dataclass(frozen=True, slots=True)
class LineState:
    """What the kernel knows: bytes and seconds.

    `out` is on its way, `unsent` waits; `round_trip` is smoothed, `deviation` how much it varies;
    `rate` is measured, `pacing` what is tried.
    """

    out: int
    unsent: int
    round_trip: float
    deviation: float
    shortest: float
    rate: int
    pacing: int


def read_state(info: bytes) -> LineState | None:
    """Read a `tcp_info`; None for one of a kernel that does not know all that is needed."""
    if len(info) < _INFO_BYTES:
        return None
    (mss,), (unacked,), (unsent,) = _u32(info, _MSS), _u32(info, _UNACKED), _u32(info, _UNSENT)
    (round_trip,), (deviation,) = _u32(info, _RTT), _u32(info, _DEVIATION)
    (shortest,), (rate,), (pacing,) = _u32(info, _MIN_RTT), _u64(info, _RATE), _u64(info, _PACING)
    times = round_trip / 1e6, deviation / 1e6, shortest / 1e6
    return LineState(unacked * mss, unsent, *times, rate, pacing)


class Restraint:
    """Whether to send no more for now. Pure; times in seconds."""

    __slots__ = ("_alone_until", "_best", "_grown_at", "_latest", "_since", "_turned_at")

    def __init__(self) -> None:
        self._since: float | None = None
        self._alone_until = 0.0
        # The best rates of the time before the last turn, and since.
        self._best = self._latest = 0
        self._turned_at = self._grown_at = 0.0

    def holds(self, state: LineState, now: float) -> bool:
        """Decide for the line as it is now."""
        best = self._best_rate(state.rate, now)
        queue = state.round_trip - state.shortest
        tolerated = TOLERATED_SECONDS + DEVIATIONS * state.deviation
        is_growing = now - self._grown_at < GROWING_ROUND_TRIPS * state.round_trip
        if queue <= tolerated or is_growing or now < self._alone_until:
            self._since = None
            return False
        if self._since is None:
            self._since = now
        futile = max(FUTILE_SECONDS, FUTILE_ROUND_TRIPS * state.shortest)
        if now - self._since > futile and queue > FUTILE_QUEUE * tolerated:
            self._alone_until = now + ALONE_SECONDS
            return False
        return state.out + state.unsent > max(LEAST_OUT, best * (state.shortest + tolerated))

    def _best_rate(self, rate: int, now: float) -> int:
        """What the line has carried lately: who holds back measures no more than he sends."""
        if now - self._turned_at > BEST_SECONDS:
            self._best, self._latest, self._turned_at = self._latest, 0, now
        if rate > GROWTH * max(self._best, self._latest):
            self._grown_at = now
        self._latest = max(self._latest, rate)
        return max(self._best, self._latest)


class Line:
    """See the module. `holds` is asked by a protocol whose transport wants it to go on writing."""

    __slots__ = (
        "_buffer",
        "_held",
        "_looked_at",
        "_loop",
        "_restraint",
        "_socket",
        "_transport",
        "_unsent",
        "portion",
    )

    def __init__(self, transport: asyncio.Transport, sock: socket.socket, *, is_near: bool) -> None:
        self._transport = transport
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._restraint = Restraint()
        # On this machine there is no line to look at.
        self._looked_at = math.inf if is_near else 0.0
        self._held: asyncio.TimerHandle | None = None
        self._unsent = 0
        # What to write at once.
        self.portion = MOST_PORTION
        self._set_buffer()
        self._set_unsent(MOST_UNSENT)

    def holds(self) -> bool:
        """Whether to wait: the transport's protocol is then told to go on some time later."""
        now = self._loop.time()
        # Where portions are small each is worth a look.
        if now - self._looked_at < LOOK_SECONDS and (
            self._held is not None or self.portion == MOST_PORTION
        ):
            return self._held is not None
        self._looked_at = now
        if self._held is not None:
            self._held.cancel()
            self._held = None
        state = self._look()
        if state is None:
            return False
        if state.pacing > STARTING * state.rate:
            # It finds out what the line carries, for which it must never run dry.
            self._follow(state.rate, state.pacing * STARTING_SECONDS, MOST_STARTING)
            return False
        self._follow(state.rate, state.rate * UNSENT_SECONDS, MOST_UNSENT)
        # Before a slow line the kernel says when it is full: what stands between us and the socket
        # takes more than it tells, TLS most of all.
        is_full = self.portion < MOST_PORTION and state.unsent >= self._unsent
        if not (is_full or self._restraint.holds(state, now)):
            return False
        self._held = self._loop.call_later(HOLD_SECONDS, self._go_on)
        return True

    def _go_on(self) -> None:
        self._held, self._looked_at = None, 0.0
        # Where the transport itself is full it says when it has room.
        is_full = self._transport.get_write_buffer_size() > self._buffer
        if not (is_full or self._transport.is_closing()):
            cast("asyncio.Protocol", self._transport.get_protocol()).resume_writing()

    def _look(self) -> LineState | None:
        try:
            return read_state(
                self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
            )
        except (OSError, ValueError):
            # It is gone; the transport tells.
            return None

    def _follow(self, rate: int, unsent: float, most: int) -> None:
        """Let as much wait as the line carries in a few milliseconds."""
        portion = _within(LEAST_PORTION, rate * PORTION_SECONDS, MOST_PORTION)
        if portion != self.portion:
            self.portion = portion
            self._set_buffer()
        size = _within(LEAST_UNSENT, unsent, most)
        if size != self._unsent:
            self._set_unsent(size)

    def _set_buffer(self) -> None:
        self._buffer = min(self.portion, MOST_BUFFER)
        self._transport.set_write_buffer_limits(high=self._buffer, low=self._buffer // 4)

    def _set_unsent(self, size: int) -> None:
        self._unsent = size
        with contextlib.suppress(OSError, ValueError):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, size)


def _within(least: int, wanted: float, most: int) -> int:
    """A power of two, so that it seldom changes: each change is a call of the system."""
    return min(max(least, 1 << max(int(wanted), 1).bit_length() - 1), most)


def _raise_send_buffer(sock: socket.socket) -> None:
    """Let the kernel keep more that is on its way, where an explicit size may be the larger one.

    An explicit size ends its own growing, so it must never be the smaller one; the kernel doubles
    it, for what it needs besides.
    """
    try:
        explicit = 2 * int(Path(_MOST_EXPLICIT).read_text())
        grown = int(Path(_MOST_GROWN).read_text().split()[2])
    except (OSError, ValueError, IndexError):
        return
    if explicit > grown:
        with contextlib.suppress(OSError, ValueError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, explicit // 2)


def line_of(transport: asyncio.Transport) -> Line | None:
    """The line of a transport's socket, kept short from now on; None for no TCP of Linux."""
    sock = transport.get_extra_info("socket")
    name = transport.get_extra_info("peername")
    if sock is None or not isinstance(name, tuple) or not hasattr(socket, "TCP_NOTSENT_LOWAT"):
        return None
    is_near = ipaddress.ip_address(name[0].partition("%")[0]).is_loopback
    if not is_near:
        # It paces, which costs where there is no line.
        with contextlib.suppress(OSError, ValueError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"bbr")
        _raise_send_buffer(sock)
    return Line(transport, sock, is_near=is_near)
