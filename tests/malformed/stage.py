"""A proxy in a thread of its own, and origins behind it that keep every byte they are sent.

The tests talk to it over plain blocking sockets: nothing of ours stands between them and the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from queue import SimpleQueue

from tests.malformed.case import Case
from tests.origins.held import LoopFactory, held
from underpass import AccessRecord, ListenAddress, Observer, Parts, Proxy, ProxyOptions
from underpass.access import Effect, Rule
from underpass.options import Limits
from underpass.outbound.via import Via

LOOPBACK = "127.0.0.1"
# Well above what a loaded machine needs, well below every time-out of the proxy: a hang fails here.
SECONDS = 5.0

CONTROL = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ncontrol"
LAST = CONTROL.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


@dataclass
class Origin:
    """Keeps what each connection brought. Once it has a whole head it says `answer`, if any.

    With `once`, only the first connection gets that; later ones are answered well, once each.
    """

    answer: bytes = b""
    once: bool = False
    # Whether it ends its direction after the answer.
    ends: bool = False
    port: int = 0
    open: int = 0
    received: list[bytearray] = field(default_factory=list)
    ended: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    @property
    def name(self) -> bytes:
        return b"127.0.0.1:%d" % self.port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        mine = bytearray()
        self.received.append(mine)
        self.open += 1
        answered = 0
        bad = not self.once or len(self.received) == 1
        answer, ends = (self.answer, self.ends) if bad else (LAST, True)
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                mine += data
                while answer and mine.count(b"\r\n\r\n") > answered:
                    answered += 1
                    writer.write(answer)
                    if ends:
                        writer.write_eof()
        writer.close()
        self.open -= 1
        self.ended.release()


@dataclass
class Stage:
    """The proxy's port and the origins: one that records, one for the control client."""

    port: int
    origin: Origin
    control: Origin
    records: SimpleQueue[AccessRecord] = field(default_factory=SimpleQueue)

    def connect(self) -> socket.socket:
        """A client of the proxy."""
        client = socket.create_connection((LOOPBACK, self.port), timeout=SECONDS)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def send(self, case: Case, *, step: int = 1 << 20) -> bytes:
        """Send the bytes of `case`, `step` at a time; return what comes back until the end."""
        data = case.bytes_for(LOOPBACK.encode(), self.origin.port)
        with self.connect() as client:
            # The proxy may have refused and gone before the last byte is out.
            with contextlib.suppress(ConnectionError):
                for at in range(0, len(data), step):
                    client.sendall(data[at : at + step])
                if case.ends:
                    client.shutdown(socket.SHUT_WR)
            return read_all(client)

    def record(self) -> AccessRecord:
        """The access line of the one request since the last time; a second one is a finding."""
        record = self.records.get(timeout=SECONDS)
        assert self.records.empty(), "more than one request was seen"
        return record

    def ask(self, origin: Origin, method: bytes = b"GET") -> bytes:
        """One good request to `origin`, and all that comes back."""
        head = b"%s http://%s/ HTTP/1.1\r\nHost: %s\r\n" % (method, origin.name, origin.name)
        with self.connect() as client:
            client.sendall(head + b"Connection: close\r\n\r\n")
            return read_all(client)

    def serves(self) -> bool:
        """Whether a client that does everything right gets its answer."""
        return is_control(self.ask(self.control)) and self.record().status == 200


def is_control(answer: bytes) -> bool:
    """Whether `answer` is the whole of a good one."""
    return answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\r\n\r\ncontrol")


def read_all(client: socket.socket) -> bytes:
    """Everything until the other end ends, or cuts, the connection."""
    answer = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while data := client.recv(65536):
            answer += data
    return bytes(answer)


@contextlib.asynccontextmanager
async def _listening(origin: Origin) -> AsyncIterator[None]:
    server = await asyncio.start_server(origin.serve, LOOPBACK, 0)
    origin.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.close()


@contextlib.asynccontextmanager
async def _playing(through_origin: bool) -> AsyncIterator[Stage]:
    here = Stage(0, Origin(), Origin(CONTROL))
    async with _listening(here.origin), _listening(here.control):
        options = ProxyOptions(
            listen=(ListenAddress(LOOPBACK, 0),),
            allow=(Rule.parse(Effect.ALLOW, LOOPBACK),),
            limits=Limits(drain_timeout=0),
            via=Via.parse(f"http://{here.origin.name.decode()}") if through_origin else None,
        )
        observer = Observer(sink=here.records.put)
        async with Proxy(options, Parts(observer=observer)) as proxy:
            here.port = proxy.addresses[0].port
            yield here
            proxy.end()
        async with asyncio.timeout(SECONDS):
            while here.origin.open or here.control.open:
                await asyncio.sleep(0)


def stage(
    loop_factory: LoopFactory, *, through_origin: bool = False
) -> AbstractContextManager[Stage]:
    """Run a proxy that may reach 127.0.0.1 alone, and the origins.

    With `through_origin` the recording origin is its upstream proxy.
    """
    return held(_playing(through_origin), loop_factory)
