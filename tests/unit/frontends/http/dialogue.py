"""A proxy, a raw client before it and a scripted origin behind it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from underpass import AccessRecord, Counters, ListenAddress, Observer, Parts, Proxy, ProxyOptions
from underpass.access import Effect, Principal, Rule
from underpass.address import Address
from underpass.frontends.http import Authenticator, FrontEndOptions, HttpFrontEnd
from underpass.frontends.http.state import Outbound
from underpass.net.connect import connect_tcp
from underpass.net.gate import Gate, GateLimits
from underpass.net.listen import Listener, Service, bind, listening_on
from underpass.net.route import Route, StreamRoute
from underpass.net.stream import Dial, Stream
from underpass.options import Limits
from underpass.outbound.via import Via

SECONDS = 5.0
LOOPBACK = (Rule.parse(Effect.ALLOW, "127.0.0.0/8"),)


class RawClient:
    """Says exactly what it is told to, and reads what comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> bytes:
        async with asyncio.timeout(SECONDS):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def exactly(self, size: int) -> bytes:
        async with asyncio.timeout(SECONDS):
            return await self.reader.readexactly(size)

    async def rest(self) -> bytes:
        """Everything until the end of the stream."""
        async with asyncio.timeout(SECONDS):
            return await self.reader.read()

    async def response(self) -> tuple[bytes, bytes]:
        """A head, and the body that its Content-Length announces."""
        head = await self.head()
        size = field_of(head, b"content-length")
        return head, await self.exactly(int(size or b"0"))

    def finish(self) -> None:
        self.writer.write_eof()

    def stop_reading(self) -> None:
        """Let what comes wait in the system's buffers until they are full."""
        self.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's has it

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


def field_of(head: bytes, name: bytes) -> bytes | None:
    """The one value of the field `name` (lower-case) in `head`."""
    found = [
        value.strip()
        for line in head.split(b"\r\n")[1:]
        for key, _, value in [line.partition(b":")]
        if key.lower() == name
    ]
    assert len(found) <= 1, found
    return found[0] if found else None


Script = Callable[["RawClient"], Awaitable[None]]


@dataclass
class Answers:
    """An origin that reads a head and its body before each of `responses`, and keeps both."""

    responses: Sequence[bytes]
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def __call__(self, visitor: RawClient) -> None:
        for response in self.responses:
            self.heads.append(await visitor.head())
            size = field_of(self.heads[-1], b"content-length")
            self.bodies.append(await visitor.exactly(int(size or b"0")))
            await visitor.say(response)


def answers(*responses: bytes) -> Answers:
    """An origin that gives these, one a request."""
    return Answers(responses)


@dataclass
class Origin:
    """Accepts on loopback and runs `script` on each stream; remembers how many it saw."""

    script: Script
    port: int = 0
    accepted: int = 0
    problems: list[BaseException] = field(default_factory=list)

    @property
    def name(self) -> bytes:
        return b"127.0.0.1:%d" % self.port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        visitor = RawClient(reader, writer)
        try:
            await self.script(visitor)
        except (
            AssertionError,
            asyncio.IncompleteReadError,
            ConnectionError,
            TimeoutError,
        ) as error:
            self.problems.append(error)
        finally:
            await visitor.close()


@contextlib.asynccontextmanager
async def origin(script: Script) -> AsyncIterator[Origin]:
    one = Origin(script)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()


@dataclass
class Scene:
    """Something that listens for proxy clients on a port, and its access records."""

    port: int
    records: list[AccessRecord]
    counters: Counters

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[RawClient]:
        client = RawClient(*await asyncio.open_connection("127.0.0.1", self.port))
        try:
            yield client
        finally:
            await client.close()

    async def record(self, index: int = 0) -> AccessRecord:
        """Wait for the access record with this index."""
        async with asyncio.timeout(SECONDS):
            while len(self.records) <= index:
                await asyncio.sleep(0.001)
        return self.records[index]


@dataclass
class Stage(Scene):
    """The proxy as a whole."""

    proxy: Proxy


@dataclass
class Bench(Scene):
    """The front end alone."""

    front_end: HttpFrontEnd


class Dialled:
    """An outbound that dials what is asked for straight on, or fails as it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.principals: list[Principal] = []

    def dial_as(self, principal: Principal) -> Dial:
        self.principals.append(principal)
        return self._dial

    def route_for(self, principal: Principal, address: Address) -> Route:
        return StreamRoute(self.dial_as(principal), address)

    async def _dial(self, address: Address) -> Stream:
        if self.error is not None:
            raise self.error
        return await connect_tcp(ipaddress.ip_address(address.host), address.port, timeout=SECONDS)


@contextlib.asynccontextmanager
async def bench(
    outbound: Outbound,
    options: FrontEndOptions | None = None,
    authenticator: Authenticator | None = None,
) -> AsyncIterator[Bench]:
    """Run the front end alone over `outbound`."""
    records: list[AccessRecord] = []
    counters = Counters()
    front_end = HttpFrontEnd(outbound, Observer(counters, records.append), options, authenticator)
    sockets = bind(ListenAddress("127.0.0.1", 0))
    gate = Gate(GateLimits())
    async with asyncio.TaskGroup() as tasks:
        listener = Listener(sockets, Service(front_end.serve, gate, None, b""), tasks)
        listener.start()
        try:
            yield Bench(listening_on(sockets[0]).port, records, counters, front_end)
        finally:
            listener.stop()
            gate.evict_all()
            front_end.drain()


@contextlib.asynccontextmanager
async def stage(
    *,
    limits: Limits | None = None,
    allow: tuple[Rule, ...] = LOOPBACK,
    authenticator: Authenticator | None = None,
    via: str | None = None,
) -> AsyncIterator[Stage]:
    """Run a proxy that may reach loopback, directly or through the upstream proxy `via`."""
    records: list[AccessRecord] = []
    counters = Counters()
    options = ProxyOptions(
        listen=(ListenAddress("127.0.0.1", 0),),
        allow=allow,
        limits=limits or Limits(drain_timeout=0),
        via=Via.parse(via) if via else None,
    )
    parts = Parts(observer=Observer(counters, records.append), authenticator=authenticator)
    async with Proxy(options, parts) as proxy:
        yield Stage(proxy.addresses[0].port, records, counters, proxy)
        proxy.end()
