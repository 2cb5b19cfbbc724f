"""A reader that stalls, beside others that do not: what it costs them, and in memory.

The client and the server are processes of their own. Spells with and without a stalled stream
follow each other in turn, so that what else the machine does hits both alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import memory

from tests.chaos.inside import Inside
from tests.real.tunnel import Tunnel, tunnel_in
from underpass.net.stream import Stream

CHUNK = bytes(64 * 1024)
READERS = 3
SPELL_SECONDS = 0.5
# A stream that has taken nothing for so long is stalled. Before, it fills what it may.
SETTLE_SECONDS = 0.3
# Up, what a slow carrier drains piece by piece makes its application wait now and then.
DRAIN_SECONDS = 1.5
SAMPLES = 4
# What the kernel takes for a destination that never reads.
KERNEL_BYTES = 64 * 1024
# What the issue promises.
LEAST_SHARE = 0.9
MOST_BYTES = 8 * 1024 * 1024
# Rounds of four spells: more only where noise hides what holds.
ROUNDS = 2
MOST_ROUNDS = 16
# All of them, with a client that gets nowhere: three times what they take.
MOST_SECONDS = 300.0

PUSH, STALL, IGNORE = b"p", b"s", b"i"


class Far:
    """A destination: it sends without end (`PUSH`, `STALL`), or never reads, as it is told first.

    `stalled_at` is when the last one that said `STALL` took something.
    """

    def __init__(self) -> None:
        self.port = 0
        self.stalled_at = 0.0
        self.over = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Do as told until it is over."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            told = await reader.readexactly(1)
            if told == IGNORE:
                # asyncio takes a little more than was asked for, and then nothing.
                await self.over.wait()
            while not self.over.is_set():
                if told == STALL:
                    self.stalled_at = asyncio.get_running_loop().time()
                writer.write(CHUNK)
                await writer.drain()
        writer.transport.abort()


@contextlib.asynccontextmanager
async def far() -> AsyncIterator[Far]:
    """A destination, for as long as the block."""
    one = Far()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.create_task(one.serve(reader, writer))

    async with asyncio.TaskGroup() as tasks:
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BYTES)
        server = await asyncio.start_server(accept, sock=sock)
        one.port = sock.getsockname()[1]
        try:
            yield one
        finally:
            # By now the tunnel's server is gone, and what waited for it goes on.
            one.over.set()
            server.close()


@dataclass
class Spells:
    """What was seen in each spell of one kind: bytes that the readers got, bytes of memory held."""

    moved: list[int] = field(default_factory=list)
    held: list[int] = field(default_factory=list)


@dataclass
class Cost:
    """What a stalled stream costs."""

    without: Spells = field(default_factory=Spells)
    beside: Spells = field(default_factory=Spells)

    @property
    def share(self) -> float:
        """The part of their rate that the others keep, in the middle one of all pairs of spells."""
        pairs = zip(self.without.moved, self.beside.moved, strict=True)
        return statistics.median(beside / max(1, without) for without, beside in pairs)

    @property
    def memory(self) -> int:
        """Bytes of client and server together."""
        return int(statistics.median(self.beside.held) - statistics.median(self.without.held))


class Scene:
    """A server, a client over one carrier, and readers that never rest."""

    def __init__(self, tunnel: Tunnel, inside: Inside, far: Far) -> None:
        self._far = far
        self._pids = [one.process.pid for one in (tunnel.server, inside.client)]
        self._inside = inside
        self._moved = 0

    async def read(self) -> None:
        """Read for ever."""
        stream = await self._inside.open()
        try:
            await stream.send(PUSH)
            while data := await stream.receive():
                self._moved += len(data)
        finally:
            stream.abort()

    async def spell(self, spells: Spells) -> None:
        """Look for a while."""
        before = self._moved
        for _ in range(SAMPLES):
            await asyncio.sleep(SPELL_SECONDS / SAMPLES)
            spells.held.append(sum(map(memory, self._pids)))
        spells.moved.append(self._moved - before)

    async def measure(self, *, is_up: bool) -> Cost:
        """Take turns until the figures hold, or have not held for long."""
        cost = Cost()
        # Once for nothing: what a first one costs stays with the process.
        async with self._stalled(is_up=is_up):
            pass
        for done in range(1, MOST_ROUNDS + 1):
            # There and back, as what the machine does besides changes slowly.
            await self._spell_without(cost)
            for _ in range(2):
                async with self._stalled(is_up=is_up):
                    await self.spell(cost.beside)
            await self._spell_without(cost)
            if done >= ROUNDS and cost.share >= LEAST_SHARE and cost.memory <= MOST_BYTES:
                break
        return cost

    async def _spell_without(self, cost: Cost) -> None:
        await asyncio.sleep(SETTLE_SECONDS)
        await self.spell(cost.without)

    @contextlib.asynccontextmanager
    async def _stalled(self, *, is_up: bool) -> AsyncIterator[None]:
        """For as long as the block, a stream that one end fills and the other never reads."""
        stream = await self._inside.open()
        try:
            if is_up:
                await _fill(stream)
            else:
                await stream.send(STALL)
                await self._full()
            yield
        finally:
            stream.abort()

    async def _full(self) -> None:
        """Wait until what nobody reads has filled all that is on its way."""
        now = asyncio.get_running_loop().time
        await asyncio.sleep(SETTLE_SECONDS)
        while now() - self._far.stalled_at < SETTLE_SECONDS:
            await asyncio.sleep(SETTLE_SECONDS / 10)


async def _fill(stream: Stream) -> None:
    """Send until nothing more is taken."""
    await stream.send(IGNORE)
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(DRAIN_SECONDS):
                await stream.send(CHUNK)


async def measure(folder: Path, carrier: str, *, is_up: bool) -> Cost:
    """What a stalled stream costs over one carrier; `is_up` where the far end never reads.

    Raises `TimeoutError` where it cannot be told.
    """
    async with asyncio.timeout(MOST_SECONDS), far() as there:
        with tunnel_in(folder) as tunnel:
            tunnel.join("work")
            scene = Scene(tunnel, Inside(tunnel, there.port, "--carrier", carrier), there)
            async with asyncio.TaskGroup() as tasks:
                reading = [tasks.create_task(scene.read()) for _ in range(READERS)]
                cost = await scene.measure(is_up=is_up)
                for task in reading:
                    task.cancel()
    return cost
