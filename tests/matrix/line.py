"""How fast `poll` is through a box that holds everything back until whole, over a long line."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path

from tests.matrix.destination import CHUNK, SIZE, SWAP
from tests.matrix.exercise import WrongBytesError, check, exactly, ping_pong
from tests.matrix.stage import Entrance, client, stage
from underpass.address import Address
from underpass.net.stream import Stream
from underpass.testing.middlebox import Behaviour, Connect, Hold, Middlebox

# 100 Mbit/s and 100 ms there and back.
RATE = 12_500_000
DELAY = 0.05
LONG_LINE = Behaviour(
    connect=Connect.REFUSED,
    strip_upgrade=True,
    responses=Hold.WHOLE,
    delay=DELAY,
    rate=RATE,
)
# A tenth of it: what is slower has stalled.
LEAST_RATE = RATE / 10
# The carrier learns the line in the first part, which is not measured.
WARM_BYTES = 30_000_000


def share(rate: float) -> float:
    """The part of the line that is used; what was held when the clock was started is no more."""
    return min(1.0, rate / RATE)


@dataclass(frozen=True)
class Figures:
    """Bytes a second each way, and the middle one of the round trips in seconds."""

    up: float
    down: float
    round_trip: float

    def line(self) -> str:
        """One line for people."""
        return (
            f"Through a box that holds every request and response until whole, at 100 Mbit/s and "
            f"100 ms: `poll` uses {share(self.up):.0%} of the line up and {share(self.down):.0%} "
            f"down; a ping-pong takes {self.round_trip / (2 * DELAY):.1f} round trips."
        )


async def measure(folder: Path, size: int, carrier: str = "poll") -> Figures:
    """Move `size` bytes each way, one after the other, and ping. Raises `WrongBytesError`.

    And `TimeoutError` where less than `LEAST_RATE` goes through.
    """
    seconds = 2 * (WARM_BYTES + size) / LEAST_RATE
    async with asyncio.timeout(seconds), stage(folder) as there, Middlebox(LONG_LINE) as box:
        entrance = Entrance(there.invites[False], carrier=carrier, via=box.url)
        async with client(entrance) as one:
            where = Address("127.0.0.1", there.port)
            round_trip = await ping_pong(await one.keeper.open(where), 9)
            down = await _down(await one.keeper.open(where), size)
            up = await _up(await one.keeper.open(where), size)
    return Figures(up, down, round_trip)


async def _down(stream: Stream, size: int) -> float:
    await stream.send(SWAP + SIZE.pack(WARM_BYTES + size))
    await receive(stream, WARM_BYTES)
    now = asyncio.get_running_loop().time
    started = now()
    await receive(stream, size)
    rate = size / (now() - started)
    await stream.send_eof()
    while await stream.receive():
        continue
    await stream.close()
    return rate


async def receive(stream: Stream, size: int) -> None:
    """Receive so many bytes. Raises `WrongBytesError` where there are fewer."""
    while size > 0:
        data = await stream.receive(size)
        if not data:
            raise WrongBytesError(f"the end comes {size} bytes too early")
        size -= len(data)


async def _up(stream: Stream, size: int) -> float:
    await stream.send(SWAP + SIZE.pack(0))
    now = asyncio.get_running_loop().time
    started = now()
    piece = bytes(CHUNK)
    pieces = range(0, WARM_BYTES + size, CHUNK)
    for at in pieces:
        if at - CHUNK < WARM_BYTES <= at:
            started = now()
        await stream.send(piece)
    await stream.send_eof()
    came = await exactly(stream, hashlib.sha256().digest_size)
    rate = size / (now() - started)
    digest = hashlib.sha256()
    for _ in pieces:
        digest.update(piece)
    check(came, digest.digest())
    await stream.close()
    return rate
