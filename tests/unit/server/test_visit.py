"""One visitor's requests: time-outs, bodies, and what is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from underpass.errors import StreamTimeout
from underpass.protocol.http.fields import Fields
from underpass.server.page import Page
from underpass.server.visit import Visit, VisitLimits
from underpass.testing.memory import MemoryStream, stream_pair

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def visiting(limits: VisitLimits | None = None, size: int = 65536) -> tuple[MemoryStream, Visit]:
    here, there = stream_pair(size)
    return here, Visit(there, limits or VisitLimits())


async def test_reads_one_request_after_the_other() -> None:
    client, visit = visiting()
    await client.send(GET + b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
    head = await visit.next_head()
    assert head is not None
    assert await visit.body(head, 10) == b""
    assert await visit.send(head, Page(204))
    head = await visit.next_head()
    assert head is not None
    assert await visit.body(head, 10) == b"abc"
    await client.send_eof()
    assert await visit.next_head() is None


async def test_who_says_nothing_is_told_nothing() -> None:
    _, visit = visiting(VisitLimits(head_timeout=0.01))
    assert await visit.next_head() is None


async def test_a_broken_request_is_told_and_ends_the_visit() -> None:
    client, visit = visiting()
    await client.send(b"GET / HTTP/9.9\r\n\r\n")
    assert await visit.next_head() is None
    assert (await client.receive()).startswith(b"HTTP/1.1 505 ")


@pytest.mark.parametrize(
    ("framing", "body", "status"),
    [
        (b"Content-Length: 11", b"", b"413"),
        (b"Transfer-Encoding: chunked", b"b\r\nhello world\r\n0\r\n\r\n", b"413"),
        (b"Transfer-Encoding: chunked", b"zz\r\n", b"400"),
        (b"Content-Length: 5", b"abc", b"408"),
        (b"Content-Length: 5\r\nExpect: something", b"", b"417"),
    ],
)
async def test_a_body_that_is_not_to_be_had(framing: bytes, body: bytes, status: bytes) -> None:
    client, visit = visiting(VisitLimits(body_timeout=0.01))
    await client.send(b"POST / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n%s" % (framing, body))
    head = await visit.next_head()
    assert head is not None
    assert await visit.body(head, 10) is None
    answer = await client.receive()
    assert answer.startswith(b"HTTP/1.1 %s " % status)
    assert b"Connection: close" in answer


async def test_who_waits_to_be_told_is_told_to_go_on() -> None:
    client, visit = visiting()
    await client.send(
        b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
    )
    head = await visit.next_head()
    assert head is not None
    async with asyncio.TaskGroup() as tasks:
        body = tasks.create_task(visit.body(head, 10))
        assert await client.receive() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"x")
    assert body.result() == b"x"


async def test_connect_is_answered_and_ends_the_visit() -> None:
    client, visit = visiting()
    await client.send(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
    head = await visit.next_head()
    assert head is not None
    assert await visit.body(head, 10) == b""
    assert not await visit.send(head, Page(404))


async def coming() -> AsyncGenerator[bytes, None]:
    yield b"one"
    yield b""
    yield b"two"


@pytest.mark.parametrize(
    ("line", "length", "end"),
    [
        (b"GET / HTTP/1.1", None, b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"),
        (b"GET / HTTP/1.1", 6, b"\r\n\r\nonetwo"),
        (b"GET / HTTP/1.0", None, b"\r\n\r\nonetwo"),
        (b"HEAD / HTTP/1.1", 6, b"Content-Length: 6\r\n\r\n"),
    ],
)
async def test_a_body_is_sent_as_it_comes(line: bytes, length: int | None, end: bytes) -> None:
    client, visit = visiting()
    await client.send(line + b"\r\nHost: a\r\n\r\n")
    head = await visit.next_head()
    assert head is not None
    goes_on = await visit.send(head, Page(200, Fields(), coming(), length))
    assert goes_on is line.endswith(b"1.1")
    came = b""
    while not came.endswith(end):
        came += await client.receive()


async def test_who_does_not_read_is_given_up() -> None:
    client, visit = visiting(VisitLimits(answer_timeout=0.01), size=1000)
    await client.send(GET)
    head = await visit.next_head()
    with pytest.raises(StreamTimeout):
        await visit.send(head, Page(200, Fields(), bytes(2000)))


async def test_draining_lets_go_of_who_waits_and_keeps_nobody() -> None:
    client, visit = visiting()
    async with asyncio.TaskGroup() as tasks:
        waits = tasks.create_task(visit.next_head())
        await asyncio.sleep(0)
        visit.drain()
        assert await waits is None
    await client.send(GET)
    assert await visit.next_head() is None
