"""Who does what in one simulation: drawn from the seed before anything happens."""

from __future__ import annotations

import random
from dataclasses import dataclass

from underpass.errors import Failure
from underpass.protocol.frames import REFUSALS, Kind, ResetCode

ENDS = ("client", "server")
OTHER = {"client": "server", "server": "client"}

_FAILURES = tuple(REFUSALS.values())


@dataclass(frozen=True, slots=True)
class SidePlan:
    """What one end does with one stream. Sizes in bytes, times in seconds of the world."""

    total: int
    chunk: int
    # Between two writes, and whether the writer waits while much is waiting.
    write_pause: float
    heeds_clogging: bool
    # The most that one read takes, and how long the reader waits between two.
    read_limit: int
    read_pause: float
    # After so many bytes the reader reads nothing for so long.
    stall_at: int
    stall_for: float
    # After so many bytes sent the stream is reset instead.
    reset_at: int | None
    reset_code: ResetCode


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """One stream: who opens it, when, and how the other end answers."""

    index: int
    opener: str
    opens_at: float
    kind: Kind
    host: str
    port: int
    # Whether the opener writes before the answer.
    is_early: bool
    answer_after: float
    bound: str
    # None to accept.
    failure: Failure | None
    details: str
    sides: dict[str, SidePlan]


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a simulation is."""

    streams: int
    stream_bytes: int
    seconds: float


def draw_scale(rng: random.Random) -> Scale:
    """Many small simulations, few large ones."""
    streams = rng.choice((1, 1, 1, 2, 2, 3, 5, 8, 13, 20))
    if rng.random() < 0.05:
        streams = rng.randint(50, 200)
    most = rng.choice((0, 100, 2_000, 30_000, 200_000, 1_000_000))
    return Scale(streams, min(most, 1_000_000 // streams), rng.choice((0.0, 1.0, 10.0, 60.0)))


def draw_streams(rng: random.Random, scale: Scale) -> list[StreamPlan]:
    """All streams of one simulation."""
    return [_draw_stream(rng, index, scale) for index in range(scale.streams)]


def _draw_stream(rng: random.Random, index: int, scale: Scale) -> StreamPlan:
    refused = rng.random() < 0.1
    return StreamPlan(
        index=index,
        opener=rng.choice(ENDS),
        opens_at=rng.random() * scale.seconds,
        kind=Kind.DATAGRAMS if rng.random() < 0.15 else Kind.BYTES,
        host=f"{index}.{'x' * rng.choice((0, 5, 60, 240))}example",
        port=rng.randint(0, 65_535),
        is_early=rng.random() < 0.6,
        answer_after=rng.choice((0.0, 0.0, 0.01, 1.0, 20.0)) * rng.random(),
        bound=rng.choice(("", "192.0.2.1:443", "[2001:db8::1]:65535")),
        failure=rng.choice(_FAILURES) if refused else None,
        details=rng.choice(("", "no", "nicht möglich", "x" * rng.randint(0, 1024))),
        sides={end: _draw_side(rng, scale) for end in ENDS},
    )


def _draw_side(rng: random.Random, scale: Scale) -> SidePlan:
    total = int(scale.stream_bytes * rng.random() ** 2)
    return SidePlan(
        total=total,
        # At most a hundred writes a stream: one-byte writes only where there are few bytes.
        chunk=max(rng.choice((1, 7, 100, 1500, 20_000, 65_521)), total // 100),
        write_pause=rng.choice((0.0, 0.0, 0.0, 0.01, 0.3)) * rng.random(),
        heeds_clogging=rng.random() < 0.8,
        read_limit=max(rng.choice((1, 100, 4096, 65_536, 1 << 20)), scale.stream_bytes // 100),
        read_pause=rng.choice((0.0, 0.0, 0.0, 0.01, 0.3)) * rng.random(),
        stall_at=int(total * rng.random()),
        stall_for=rng.choice((0.0, 0.0, 0.0, 1.0, 40.0)) * rng.random(),
        reset_at=int(total * rng.random()) if rng.random() < 0.1 else None,
        reset_code=rng.choice((ResetCode.RESET, ResetCode.TIMEOUT, ResetCode.INTERNAL)),
    )
