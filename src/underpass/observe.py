"""What happened: access records, counters and histograms. No exporter, no clock, no IO.

Counters are 64-bit slots over a memoryview, so that worker processes can each own one stretch of a
shared map and somebody else can add them up. One process writes a stretch; anyone may read it. A
slot is written whole by the CPU, so a reader sees old or new values, never half of one.
"""

from __future__ import annotations

import enum
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from underpass.errors import Failure

SLOT_BYTES = 8

# Upper bounds in seconds; one more bucket takes the rest. From a dial on loopback (a millisecond)
# to the connect time-out, three a decade: enough to see p50 and p99 move.
LATENCY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_MICROSECONDS = 1_000_000


# Not frozen, though nobody changes one: it is made for every request, in a fifth of the time.
@dataclass(slots=True)
class AccessRecord:
    """One request or tunnel that ended.

    `sent` is bytes to the destination, `received` bytes from it, `seconds` from the request's head
    to the end; `reason` is one phrase (``ok`` or why not); `request_id` is what a refusal told the
    client, else empty. Values may hold anything a peer sent:
    whoever writes them out escapes them.
    """

    user: str
    client: str
    method: str
    address: str
    status: int
    sent: int
    received: int
    seconds: float
    reason: str
    request_id: str = ""


@enum.unique
class Counter(enum.IntEnum):
    """What is counted. The value is the slot."""

    CONNECTIONS_ACCEPTED = 0
    CONNECTIONS_OPEN = 1
    CONNECTIONS_SHED = 2
    REQUESTS_CONNECT = 3
    REQUESTS_FORWARD = 4
    REFUSALS = 5
    TUNNELS_OPEN = 6
    BYTES_SENT = 7
    BYTES_RECEIVED = 8
    DIALS = 9
    DIAL_FAILURES = 10
    AUTHENTICATION_FAILURES = 11
    LOG_LINES_DROPPED = 12
    POOL_REUSED = 13
    ACCEPT_PAUSES = 14
    RELOADS = 15
    RELOAD_FAILURES = 16
    SESSIONS_OPEN = 17
    SESSIONS_BEGUN = 18
    HELLOS_SHED = 19


GAUGES = frozenset({Counter.CONNECTIONS_OPEN, Counter.TUNNELS_OPEN, Counter.SESSIONS_OPEN})
"""The counters that also go down. They end with the process, so a restart sets them to 0."""


@enum.unique
class Histogram(enum.IntEnum):
    """What is timed. The value is its place among the histograms."""

    DIAL_SECONDS = 0
    REQUEST_SECONDS = 1


_FAILURES_AT = len(Counter)
_FAILURE_SLOTS = {failure: _FAILURES_AT + i for i, failure in enumerate(Failure)}
_HISTOGRAMS_AT = _FAILURES_AT + len(_FAILURE_SLOTS)
_BUCKETS = len(LATENCY_BOUNDS) + 1
# A histogram's slots: its buckets, then the sum in microseconds.
_HISTOGRAM_SLOTS = _BUCKETS + 1
_FIRST_SLOTS = tuple(_HISTOGRAMS_AT + histogram * _HISTOGRAM_SLOTS for histogram in Histogram)

SLOTS = _HISTOGRAMS_AT + len(Histogram) * _HISTOGRAM_SLOTS
"""How many slots one process needs; `SLOTS * SLOT_BYTES` bytes."""


@dataclass(frozen=True, slots=True)
class Timings:
    """A histogram's state: values per bucket (not cumulative, the last unbounded) and their sum."""

    buckets: tuple[int, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The counters at one moment, of one process or of several added up."""

    counters: Mapping[Counter, int]
    refusals: Mapping[Failure, int]
    timings: Mapping[Histogram, Timings]

    @classmethod
    def read(cls, stretches: Iterable[memoryview]) -> Snapshot:
        """Add up stretches of `SLOTS` slots, one a process."""
        totals = [sum(column) for column in zip(*stretches, strict=True)] or [0] * SLOTS
        return cls(
            counters={counter: totals[counter] for counter in Counter},
            refusals={failure: totals[slot] for failure, slot in _FAILURE_SLOTS.items()},
            timings={histogram: _timings(totals, histogram) for histogram in Histogram},
        )


def _timings(totals: list[int], histogram: Histogram) -> Timings:
    first = _FIRST_SLOTS[histogram]
    buckets = tuple(totals[first : first + _BUCKETS])
    return Timings(buckets, totals[first + _BUCKETS] / _MICROSECONDS)


class Counters:
    """The counters of one process. Call it from one thread, but for `snapshot`."""

    __slots__ = ("slots",)

    def __init__(self, slots: memoryview | None = None) -> None:
        """Count in `slots` (format ``q``, `SLOTS` long), or in memory of our own."""
        if slots is None:
            slots = memoryview(array("q", bytes(SLOTS * SLOT_BYTES)))
        if slots.format != "q" or len(slots) != SLOTS:
            raise ValueError(f"counters need {SLOTS} slots of format q")
        self.slots = slots

    def add(self, counter: Counter, amount: int = 1) -> None:
        """Add `amount` to one counter; a gauge takes negative ones too."""
        self.slots[counter] += amount

    def refused(self, failure: Failure) -> None:
        """Count a refusal, in all and by its reason."""
        self.slots[Counter.REFUSALS] += 1
        self.slots[_FAILURE_SLOTS[failure]] += 1

    def took(self, histogram: Histogram, seconds: float) -> None:
        """Count one duration."""
        slots, first = self.slots, _FIRST_SLOTS[histogram]
        slots[first + bisect_left(LATENCY_BOUNDS, seconds)] += 1
        slots[first + _BUCKETS] += round(seconds * _MICROSECONDS)

    def value(self, counter: Counter) -> int:
        """What one counter stands at."""
        return self.slots[counter]

    def reset_gauges(self) -> None:
        """Set the gauges to 0: the process that held what they count is gone."""
        for gauge in GAUGES:
            self.slots[gauge] = 0

    def snapshot(self) -> Snapshot:
        """All of this process's counters at this moment."""
        return Snapshot.read([self.slots])


# By name: every request counts these.
_SENT = Counter.BYTES_SENT.value
_RECEIVED = Counter.BYTES_RECEIVED.value
_REQUEST = Histogram.REQUEST_SECONDS


def _drop(record: AccessRecord) -> None:
    """The sink of an observer that nobody listens to."""


class Observer:
    """Where the other rooms say what happened."""

    __slots__ = ("_sink", "counters")

    def __init__(
        self,
        counters: Counters | None = None,
        sink: Callable[[AccessRecord], None] = _drop,
    ) -> None:
        self.counters = counters or Counters()
        self._sink = sink

    def access(self, record: AccessRecord) -> None:
        """Hand over one access record, count its bytes and its time. Cheap, never blocks."""
        counters = self.counters
        slots = counters.slots
        slots[_SENT] += record.sent
        slots[_RECEIVED] += record.received
        counters.took(_REQUEST, record.seconds)
        self._sink(record)
