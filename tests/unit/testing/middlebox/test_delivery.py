"""What becomes of the responses."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.frontends.http.dialogue import RawClient, answers
from tests.unit.testing.middlebox.dialogue import OK, status, walk
from underpass.testing.middlebox import Behaviour, Hold

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Streaming:
    """An origin that streams: what it sends, and when it goes on."""

    def __init__(self, first: bytes) -> None:
        self._first = first
        self.may_end = asyncio.Event()

    async def __call__(self, visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(CHUNKED + b"%x\r\n%s\r\n" % (len(self._first), self._first))
        await self.may_end.wait()
        await visitor.say(b"3\r\nend\r\n0\r\n\r\n")


async def comes(client: RawClient, seconds: float = 0.05) -> bool:
    """Whether anything comes soon."""
    try:
        async with asyncio.timeout(seconds):
            return bool(await client.reader.read(1))
    except TimeoutError:
        return False


@pytest.mark.parametrize(
    ("hold", "size", "expected"),
    [
        (Hold.NO, 1, True),
        (Hold.THRESHOLD, 60_000, False),
        (Hold.THRESHOLD, 70_000, True),
        (Hold.WHOLE, 70_000, False),
    ],
)
async def test_a_body_is_held(hold: Hold, size: int, expected: bool) -> None:
    script = Streaming(b"x" * size)
    async with walk(Behaviour(responses=hold), script) as it, it.client() as client:
        await client.say(it.request())
        assert await comes(client) is expected
        script.may_end.set()
        data = b""
        async with asyncio.timeout(5):
            while not data.endswith(b"0\r\n\r\n"):
                data += await client.reader.read(65536)
    assert b"end" in data


async def test_of_a_streamed_body_the_head_alone_comes() -> None:
    script = Streaming(b"x")
    script.may_end.set()
    async with walk(Behaviour(responses=Hold.NEVER), script) as it, it.client() as client:
        await client.say(it.request())
        assert status(await client.head()) == 200
        assert not await comes(client)


async def test_a_body_with_a_length_comes_all_the_same() -> None:
    async with walk(Behaviour(responses=Hold.NEVER), answers(OK)) as it:
        assert [body for _, body in await it.ask(it.request())] == [b"hello"]


@pytest.mark.parametrize("seed", range(3))
async def test_a_response_ends_too_early(seed: int) -> None:
    behaviour = Behaviour(truncate_chance=1)
    async with walk(behaviour, answers(OK), seed=seed) as it, it.client() as client:
        await client.say(it.request())
        assert not (await client.rest()).endswith(b"hello")


async def test_a_switch_of_protocols_passes_both_ways() -> None:
    async def switch(visitor: RawClient) -> None:
        assert b"Upgrade: other" in await visitor.head()
        await visitor.say(b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
        await visitor.say((await visitor.exactly(2))[::-1])

    async with walk(Behaviour(), switch) as it, it.client() as client:
        await client.say(it.request(fields="Connection: Upgrade\r\nUpgrade: other\r\n"))
        assert status(await client.head()) == 101
        await client.say(b"ab")
        assert await client.exactly(2) == b"ba"


async def test_an_interim_response_is_kept_back() -> None:
    script = answers(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)
    async with walk(Behaviour(), script) as it:
        assert [status(head) for head, _ in await it.ask(it.request())] == [200]


async def test_a_chunked_response_is_refused() -> None:
    script = Streaming(b"x")
    async with walk(Behaviour(refuse_chunked=True), script) as it:
        assert [status(head) for head, _ in await it.ask(it.request())] == [502]


async def test_an_origin_that_says_nothing_is_passed_on_as_an_end() -> None:
    async def nothing(visitor: RawClient) -> None:
        await visitor.head()

    async with walk(Behaviour(), nothing) as it, it.client() as client:
        await client.say(it.request())
        with pytest.raises(ConnectionError):
            await client.rest()


async def test_text_is_put_in_front() -> None:
    async with walk(Behaviour(inject=b"<ad>"), answers(OK, OK)) as it:
        assert [body for _, body in await it.ask(it.request())] == [b"<ad>hello"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (CHUNKED + b"0\r\n\r\n", b"4\r\n<ad>\r\n0\r\n\r\n"),
    ],
)
async def test_text_is_put_where_a_body_may_be(answer: bytes, expected: bytes) -> None:
    async with walk(Behaviour(inject=b"<ad>"), answers(answer)) as it, it.client() as client:
        await client.say(it.request(fields="Connection: close\r\n"))
        assert (await client.rest()).partition(b"\r\n\r\n")[2] == expected
