"""A client and a destination in memory, with a front end between them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

from underpass.address import Address
from underpass.errors import DialError
from underpass.net.gate import Gate, GateLimits, Ticket
from underpass.net.stream import Stream
from underpass.observe import AccessRecord, Counters, Observer
from underpass.testing.memory import MemoryStream, stream_pair

SECONDS = 5.0


class FrontEnd(Protocol):
    async def serve(self, stream: Stream, ticket: Ticket) -> None: ...


@dataclass
class Destination:
    """A dial that opens streams in memory, or fails as it is told to; a dial may hang, too."""

    error: DialError | None = None
    hangs: bool = False
    asked: list[Address] = field(default_factory=list)
    opened: list[MemoryStream] = field(default_factory=list)

    async def dial(self, address: Address) -> Stream:
        self.asked.append(address)
        if self.hangs:
            await asyncio.sleep(1000)
        if self.error is not None:
            raise self.error
        here, there = stream_pair()
        self.opened.append(there)
        return here

    async def arrived(self) -> MemoryStream:
        """The far end of the stream, once it has been opened."""
        while not self.opened:
            await asyncio.sleep(0)
        return self.opened[0]


@dataclass
class Watch:
    """What a front end says happened."""

    records: list[AccessRecord] = field(default_factory=list)
    counters: Counters = field(default_factory=Counters)

    @property
    def observer(self) -> Observer:
        return Observer(self.counters, self.records.append)


@dataclass
class Visit:
    """A client before a front end, and the task that serves it."""

    client: MemoryStream
    serving: asyncio.Task[None]

    async def exactly(self, size: int) -> bytes:
        """So many bytes of what the client gets."""
        received = b""
        while len(received) < size:
            data = await self.client.receive(size - len(received))
            assert data, f"ended after {received!r}"
            received += data
        return received

    async def rest(self) -> bytes:
        """All that the client still gets."""
        received = b""
        while data := await self.client.receive():
            received += data
        return received


@contextlib.asynccontextmanager
async def visiting(
    front_end: FrontEnd, ends: tuple[MemoryStream, MemoryStream] | None = None
) -> AsyncIterator[Visit]:
    """A client that has just connected; it is served until the end of the block at the latest.

    `ends` are the client's and the accepted one, for a client that has done something before.
    """
    client, accepted = ends or stream_pair()
    ticket = Gate(GateLimits()).admit("127.0.0.1")
    assert ticket is not None
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(front_end.serve(accepted, ticket))
        try:
            yield Visit(client, serving)
        finally:
            serving.cancel()
