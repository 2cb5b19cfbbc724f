"""A feed and a server's HTTP that do what a test says, for the client's halves alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from tests.unit.frontends.http.dialogue import Origin, RawClient, field_of, origin
from underpass.address import Address
from underpass.carriers.base import CarrierError
from underpass.carriers.http_client import HttpClient
from underpass.carriers.server_url import ServerUrl
from underpass.net.connect import connect_tcp
from underpass.net.route import StreamRoute
from underpass.net.stream import Stream
from underpass.protocol.frames import Payload

SECONDS = 5.0


class ScriptedFeed:
    """Gives what `give` was given, and keeps what came."""

    def __init__(self, delay: float = 0.01) -> None:
        self.waiting: list[bytes] = []
        self.came = b""
        self.returned: list[bytes] = []
        self.keepalive: list[float] = []
        self.cuts = 0
        self.reason: str | None = None
        self._delay = delay
        self._wanted = asyncio.Event()
        self._wake: Callable[[], None] | None = None

    def give(self, *records: bytes) -> None:
        self.waiting += records
        self._tell()

    def end(self, reason: str) -> None:
        self.reason = reason
        self._tell()

    def _tell(self) -> None:
        self._wanted.set()
        if self._wake is not None:
            self._wake()

    def watch(self, wake: Callable[[], None] | None) -> None:
        self._wake = wake

    def take(self, limit: int) -> list[bytes]:
        taken: list[bytes] = []
        while self.waiting and (not taken or len(b"".join(taken)) + len(self.waiting[0]) <= limit):
            taken.append(self.waiting.pop(0))
        return taken

    def receive(self, data: Payload) -> None:
        self.came += data

    def cut(self) -> None:
        self.cuts += 1

    def lost(self, records: list[bytes]) -> None:
        self.returned += records

    async def output(self) -> None:
        while not self.waiting:
            if self.reason is not None:
                raise CarrierError(self.reason)
            self._wanted.clear()
            await self._wanted.wait()

    def lower_keepalive(self, seconds: float) -> None:
        self.keepalive.append(seconds)

    @property
    def delay(self) -> float:
        return self._delay


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.001)


Answer = Callable[[str, bytes], Awaitable[bytes]]
"""Answers a request line without its version, and a body."""


def client_of(port: int) -> HttpClient:
    address = Address("127.0.0.1", port)

    async def dial(where: Address) -> Stream:
        ip = where.ip
        assert ip is not None
        return await connect_tcp(ip, where.port, SECONDS)

    return HttpClient(ServerUrl.parse(f"http://{address}"), lambda: StreamRoute(dial, address))


@contextlib.asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[tuple[HttpClient, Origin]]:
    """A client of a server that gives each request to `answer`, in turn on each stream."""

    async def script(visitor: RawClient) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                async with asyncio.timeout(SECONDS):
                    head = await visitor.reader.readuntil(b"\r\n\r\n")
                body = await visitor.exactly(int(field_of(head, b"content-length") or b"0"))
                line = head.split(b"\r\n")[0].removesuffix(b" HTTP/1.1").decode("ascii")
                await visitor.say(await answer(line, body))

    async with origin(script) as one:
        client = client_of(one.port)
        try:
            yield client, one
        finally:
            client.close()


def ok(body: bytes = b"", *fields: str) -> bytes:
    lines = "".join(f"{field}\r\n" for field in fields)
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (
        lines.encode("ascii"),
        len(body),
        body,
    )


NOTHING = b"HTTP/1.1 204 No Content\r\n\r\n"


def refused(status: int, *fields: str) -> bytes:
    lines = "".join(f"{field}\r\n" for field in fields)
    return f"HTTP/1.1 {status} No\r\n{lines}Content-Length: 0\r\n\r\n".encode("ascii")
