"""Two ends of a session in one process, joined by a carrier in memory.

`Joined` holds two drivers, and carries when it is told to: for dialogues step by step. `tunnels()`
holds two tunnels that are carried all the time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.unit.protocol.session_pair import SESSION_ID, make_session
from underpass.address import Address
from underpass.carriers.base import Feed
from underpass.net.stream import Stream
from underpass.protocol.frames import CloseCode
from underpass.protocol.session import Session
from underpass.protocol.session_terms import SessionTerms
from underpass.protocol.stream_table import StreamLimits
from underpass.tunnel.driver import CarrierEvent, SessionDriver
from underpass.tunnel.offer import Offer
from underpass.tunnel.tunnel import Tunnel
from underpass.tunnel.tunnel_stream import TunnelStream

TARGET = Address("example.com", 443)
BOUND = Address("192.0.2.7", 5000)
PIECE = 64 * 1024
# More than any dialogue here needs, of rounds and of steps of the loop.
MAX_ROUNDS = 10_000
STEPS = 20


def make_ends(limits: StreamLimits | None = None, grace: float = 600.0) -> tuple[Session, Session]:
    """A client's and a server's session, each with its first carrier, on the loop's clock."""
    limits = limits or StreamLimits()
    terms = SessionTerms(SESSION_ID, limits, limits, grace=grace)
    now = asyncio.get_running_loop().time()
    return make_session(terms, is_client=True, now=now), make_session(
        terms, is_client=False, now=now
    )


async def steps() -> None:
    """Let every task that can go on do so."""
    for _ in range(STEPS):
        await asyncio.sleep(0)


class Joined:
    """Two drivers; what they have to say waits for `pump`. `told` is what the client was."""

    def __init__(self, limits: StreamLimits | None = None, grace: float = 600.0) -> None:
        client, server = make_ends(limits, grace)
        self.told: list[CarrierEvent] = []
        self.server_told: list[CarrierEvent] = []
        self.client = SessionDriver(client, self.told.append)
        self.server = SessionDriver(server, self.server_told.append)
        self.client_feed = self.client.feed(0)
        self.server_feed = self.server.feed(0)

    def pump(self) -> None:
        """Carry both ways until nothing moves."""
        for _ in range(MAX_ROUNDS):
            up = self.client_feed.take(PIECE)
            if up:
                self.server_feed.receive(b"".join(up))
            down = self.server_feed.take(PIECE)
            if down:
                self.client_feed.receive(b"".join(down))
            if not up and not down:
                return
        raise AssertionError("two ends that never stop talking")

    async def ask(
        self, tasks: asyncio.TaskGroup, address: Address = TARGET
    ) -> tuple[asyncio.Task[TunnelStream], Offer]:
        """The client asks for a stream: what waits for it, and the offer at the server."""
        opening = tasks.create_task(self.client.open(address))
        await steps()
        self.pump()
        return opening, self.server.offers.get_nowait()

    async def open(self) -> tuple[TunnelStream, TunnelStream]:
        """A stream that stands: the client's end and the server's."""
        async with asyncio.TaskGroup() as tasks:
            opening, offer = await self.ask(tasks)
            there = offer.accept(BOUND)
            self.pump()
        return opening.result(), there


class MemoryCarrier:
    """Two halves, each to be run by one tunnel, that bring what it has to the other at once."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._client: asyncio.Future[Feed] = loop.create_future()
        self._server: asyncio.Future[Feed] = loop.create_future()

    async def client(self, feed: Feed) -> None:
        """The half of the client."""
        self._client.set_result(feed)
        await self._bring(feed, await self._server)

    async def server(self, feed: Feed) -> None:
        """The half of the server."""
        self._server.set_result(feed)
        await self._bring(feed, await self._client)

    async def _bring(self, source: Feed, sink: Feed) -> None:
        while True:
            await source.output()
            if records := source.take(PIECE):
                sink.receive(b"".join(records))
                await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def tunnels() -> AsyncIterator[tuple[Tunnel, Tunnel]]:
    """A client's tunnel and a server's, carried until this is left."""
    client, server = map(Tunnel, make_ends())
    carrier = MemoryCarrier()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(client.carry(0, carrier.client))
        tasks.create_task(server.carry(0, carrier.server))
        try:
            yield client, server
        finally:
            # Ends the feeds, and with them the halves of the carrier; frees the timers.
            for end in (client, server):
                end.abort(CloseCode.DONE, "the test is over")


@contextlib.asynccontextmanager
async def tunnel_streams() -> AsyncIterator[tuple[Stream, Stream]]:
    """The two ends of a stream through a tunnel."""
    async with tunnels() as (client, server), asyncio.TaskGroup() as tasks:
        opening = tasks.create_task(client.open(TARGET))
        there = (await server.accept()).accept(BOUND)
        yield await opening, there
