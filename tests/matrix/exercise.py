"""What is done through a tunnel to see whether it works: bytes both ways, counted and hashed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.matrix.destination import CHUNK, ECHO, SIZE, SWAP, pattern
from underpass.address import Address
from underpass.errors import DialError, Failure
from underpass.net.stream import Stream

Open = Callable[[Address], Awaitable[Stream]]


class WrongBytesError(AssertionError):
    """What came is not what was sent: the one thing that must never be."""


@dataclass(frozen=True)
class Exercise:
    """`size` bytes each way on each of `streams`, `pings` round trips, then `idle` seconds' rest.

    `refused` is where nobody listens, `port` where the destination does.
    """

    port: int
    refused: int
    size: int = 150_000
    streams: int = 3
    pings: int = 5
    idle: float = 0.0

    async def run(self, dial: Open) -> None:
        """Do it all. Raises `WrongBytesError`, and what the streams raise."""
        where = Address("127.0.0.1", self.port)
        async with asyncio.TaskGroup() as tasks:
            for number in range(self.streams):
                tasks.create_task(swap(await dial(where), self.size + number, self.size * 2))
            tasks.create_task(ping_pong(await dial(where), self.pings, self.idle))
            tasks.create_task(self._be_refused(dial))

    async def _be_refused(self, dial: Open) -> None:
        try:
            stream = await dial(Address("127.0.0.1", self.refused))
        except DialError as error:
            if error.failure is not Failure.CONNECTION_REFUSED:
                raise
            return
        stream.abort()
        raise WrongBytesError("a stream to where nobody listens")


async def swap(stream: Stream, up: int, down: int) -> None:
    """Send `up` bytes while `down` bytes come; end, and then hear what came there."""
    sent = pattern(up, up)

    async def send() -> None:
        await stream.send(SWAP + SIZE.pack(down))
        for at in range(0, up, CHUNK):
            await stream.send(sent[at : at + CHUNK])
        await stream.send_eof()

    received = bytearray()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(send())
        while data := await stream.receive():
            received += data
    await stream.close()
    check(bytes(received), pattern(down, down) + hashlib.sha256(sent).digest())


def check(received: bytes, expected: bytes) -> None:
    """Raise `WrongBytesError` where the two are not the same."""
    if received != expected:
        raise WrongBytesError(f"{len(received)} of {len(expected)} bytes, or others")


async def ping_pong(stream: Stream, pings: int, idle: float = 0.0) -> float:
    """So many round trips of a few bytes, a rest before the last; the middle one of their times."""
    now = asyncio.get_running_loop().time
    await stream.send(ECHO)
    times = []
    for number in range(pings):
        if idle and number == pings - 1:
            await asyncio.sleep(idle)
        started = now()
        await stream.send(b"ping %06d" % number)
        check(await exactly(stream, 11), b"ping %06d" % number)
        times.append(now() - started)
    await stream.send_eof()
    check(await stream.receive(), b"")
    await stream.close()
    return sorted(times)[len(times) // 2]


async def exactly(stream: Stream, size: int) -> bytes:
    """Receive so many bytes, fewer only at the end."""
    received = b""
    while len(received) < size and (data := await stream.receive(size - len(received))):
        received += data
    return received
