"""Which service a stream is for: told by its first bytes, however they come."""

from __future__ import annotations

import asyncio

import pytest

from underpass.net.gate import Gate, GateLimits, Ticket
from underpass.net.stream import Stream
from underpass.server.sorting import Sorter, is_for_proxy
from underpass.testing.memory import MemoryStream, stream_pair

PROXYS = [
    b"CONNECT a.example:443 HTTP/1.1\r\n",
    b"CONNECT / HTTP/1.1\r\n",
    b"GET http://a.example/ HTTP/1.1\r\n",
    b"POST https://a.example/ HTTP/1.1\r\n",
    b"GET a.example HTTP/1.1\r\n",
    b"\r\n\r\nGET http://a.example/ HTTP/1.1\r\n",
]
SITES = [
    b"GET / HTTP/1.1\r\n",
    b"PUT /TOKEN HTTP/1.1\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"connect / HTTP/1.1\r\n",
    b"\x16\x03\x01" + b"\x00" * 40,
    b"x" * 40,
]


class Services:
    """Two services that take in what comes until its end."""

    def __init__(self, head_timeout: float = 10.0) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self.sorter = Sorter(self.site, self.proxy, head_timeout)

    async def site(self, stream: Stream, ticket: Ticket) -> None:
        await self.take("site", stream)

    async def proxy(self, stream: Stream, ticket: Ticket) -> None:
        await self.take("proxy", stream)

    async def take(self, name: str, stream: Stream) -> None:
        data = b""
        while piece := await stream.receive():
            data += piece
        self.seen.append((name, data))


def ticket() -> Ticket:
    found = Gate(GateLimits()).admit("192.0.2.1")
    assert found is not None
    return found


async def say(stream: MemoryStream, data: bytes, size: int) -> None:
    for at in range(0, len(data), size):
        await stream.send(data[at : at + size])
        await asyncio.sleep(0)
    await stream.send_eof()


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("start", "name"), [(one, "proxy") for one in PROXYS] + [(one, "site") for one in SITES]
)
async def test_the_first_request_chooses_and_loses_no_byte(
    start: bytes, name: str, size: int
) -> None:
    services = Services()
    here, there = stream_pair()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(say(here, start, size))
        await services.sorter.serve(there, ticket())
    assert services.seen == [(name, start)]


async def test_one_that_ends_before_it_can_be_told_is_a_visitors() -> None:
    services = Services()
    here, there = stream_pair()
    await say(here, b"GET", 3)
    await services.sorter.serve(there, ticket())
    assert services.seen == [("site", b"GET")]


async def test_one_that_says_nothing_is_let_go_in_time() -> None:
    services = Services(head_timeout=0.01)
    here, there = stream_pair()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(services.sorter.serve(there, ticket()))
        assert await here.receive() == b""
        await here.close()
        await serving
    assert services.seen == []


async def test_one_that_is_reset_is_let_go() -> None:
    services = Services()
    here, there = stream_pair()
    here.abort()
    await services.sorter.serve(there, ticket())
    assert services.seen == []


@pytest.mark.parametrize(("start", "told"), [(b"", None), (b"CONNECT", None), (b"CONNECT ", None)])
def test_what_is_not_there_yet_is_not_guessed(start: bytes, told: bool | None) -> None:
    assert is_for_proxy(start) is told
