"""A tunnel whose two ends are joined by carriers over real HTTP on loopback.

`world()` starts the server's half: a listener, the endpoint, and a door that knows one session.
`World.carry` opens a carrier as a client does, and runs it until it ends or is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from tests.unit.protocol.session_pair import CLIENT_KEYS, SERVER_KEYS, SESSION_ID, body_of
from underpass.address import Address, ListenAddress
from underpass.carriers.base import Admission, Carrier, CarrierError
from underpass.carriers.http_client import HttpClient
from underpass.carriers.server_url import ServerUrl
from underpass.errors import DialError, RemoteProtocolError
from underpass.net.connect import connect_tcp
from underpass.net.gate import Gate, GateLimits
from underpass.net.listen import Listener, Service, bind, listening_on
from underpass.net.route import Route, StreamRoute
from underpass.net.stream import Stream
from underpass.net.transport import TransportStream
from underpass.protocol.attach import parse_attach
from underpass.protocol.opening import Kind, Opening, OpeningReader
from underpass.protocol.session import Session
from underpass.protocol.session_terms import SessionTerms
from underpass.server.carrier_table import CarrierTable
from underpass.server.endpoint import Endpoint, EndpointOptions
from underpass.tunnel.tunnel import Tunnel

SECONDS = 10.0
HELLO = Opening(Kind.HELLO, b"the one client").encode()
WELCOME = Opening(Kind.WELCOME, b"the one server").encode()


def now() -> float:
    return asyncio.get_running_loop().time()


def terms() -> SessionTerms:
    return SessionTerms(SESSION_ID)


class OneDoor:
    """Lets the one client in, and its further carriers; everybody else is a stranger."""

    def __init__(self) -> None:
        self.tunnel: Tunnel | None = None
        self.strangers = 0

    async def __call__(self, message: bytes) -> Admission | None:
        try:
            found = OpeningReader().receive_data(message)
            if found is None or found[1]:
                raise RemoteProtocolError("not one whole opening message")
            if message == HELLO and self.tunnel is None:
                return self._welcome()
            if found[0].kind is Kind.ATTACH and self.tunnel is not None:
                return self._attach(self.tunnel, found[0].body)
        except RemoteProtocolError:
            pass
        self.strangers += 1
        return None

    def _welcome(self) -> Admission:
        session = Session(SERVER_KEYS, terms(), now(), is_client=False)
        session.begin(now())
        self.tunnel = tunnel = Tunnel(session)
        return Admission(WELCOME, lambda run: tunnel.carry(0, run))

    def _attach(self, tunnel: Tunnel, body: bytes) -> Admission:
        attach = parse_attach(body)
        answer = tunnel.session.accept_attach(attach, now())
        return Admission(answer, lambda run: tunnel.carry(attach.number, run))


@dataclass
class World:
    """The server, and what a client needs to reach it. `streams` are the client's of TCP."""

    port: int
    door: OneDoor
    endpoint: Endpoint
    table: CarrierTable
    tasks: asyncio.TaskGroup
    gate: Gate
    streams: list[TransportStream] = field(default_factory=list)
    carried: list[asyncio.Task[CarrierError]] = field(default_factory=list)
    client: Tunnel | None = None

    @property
    def server(self) -> Tunnel:
        assert self.door.tunnel is not None
        return self.door.tunnel

    @property
    def tunnel(self) -> Tunnel:
        assert self.client is not None
        return self.client

    async def open(self, address: Address) -> tuple[Stream, Stream]:
        """A stream through the tunnel: the client's end and the server's."""
        opening = self.tasks.create_task(self.tunnel.open(address))
        offer = await self.server.accept()
        there = offer.accept(offer.address)
        return await opening, there

    async def open_back(self, address: Address) -> tuple[Stream, Stream]:
        """One that the server opens: the client's end and the server's."""
        opening = self.tasks.create_task(self.server.open(address))
        offer = await self.tunnel.accept()
        here = offer.accept(offer.address)
        return here, await opening

    async def dialled(self, address: Address) -> Stream | DialError:
        """A stream, or why there is none."""
        try:
            return await self.tunnel.open(address)
        except DialError as error:
            return error

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until `holds`."""
        async with asyncio.timeout(SECONDS):
            while not holds():
                await asyncio.sleep(0.001)

    async def moved(self, size: int) -> None:
        """Wait until the client has sent and received so many bytes more over TCP."""
        goal = self._bytes() + size
        await self.until(lambda: self._bytes() >= goal)

    def _bytes(self) -> int:
        return sum(stream.sent + stream.received for stream in self.streams)

    def http(self) -> HttpClient:
        return HttpClient(ServerUrl.parse(f"http://127.0.0.1:{self.port}/below"), self.route)

    def route(self) -> Route:
        return StreamRoute(self.dial, Address("127.0.0.1", self.port))

    async def dial(self, address: Address) -> Stream:
        stream = await connect_tcp(ipaddress.ip_address(address.host), address.port, SECONDS)
        self.streams.append(stream)
        return stream

    async def attach(self, carrier: Carrier) -> asyncio.Task[CarrierError]:
        """Open `carrier`, with a new session or on the one there is; return what runs it."""
        if self.client is None:
            assert await carrier.open(HELLO) == WELCOME
            session = Session(CLIENT_KEYS, terms(), now(), is_client=True)
            session.begin(now())
            self.client = Tunnel(session)
            number = 0
        else:
            number, message = self.client.session.attach(os.urandom(16), now())
            answer = await carrier.open(message)
            self.client.session.receive_attached(number, body_of(answer), now())
        carry = self.client.carry(number, carrier.run)
        self.carried.append(self.tasks.create_task(carry, name=carrier.name))
        return self.carried[-1]

    def unsettled(self) -> int:
        """How many visitors have not proved to be clients."""
        return len(self.gate._unsettled)

    def cut(self) -> None:
        """Reset every TCP stream of the client."""
        for stream in self.streams:
            stream.abort()


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[World]:
    door = OneDoor()
    gate = Gate(GateLimits())
    sockets = bind(ListenAddress("127.0.0.1", 0))
    async with asyncio.TaskGroup() as tasks:
        table = CarrierTable(door, tasks)
        endpoint = Endpoint(door, table, EndpointOptions(prefix="/below"))
        listener = Listener(sockets, Service(endpoint.serve, gate), tasks)
        listener.start()
        one = World(listening_on(sockets[0]).port, door, endpoint, table, tasks, gate)
        try:
            yield one
        finally:
            listener.stop()
            for task in one.carried:
                task.cancel()
            table.end("the world ends")
            gate.evict_all()
