"""The one long response of `stream`; the conformance suite has the rest."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.carriers.script import NOTHING, ScriptedFeed, client_of
from tests.unit.frontends.http.dialogue import RawClient, origin
from underpass.carriers import stream
from underpass.carriers.base import CarrierError
from underpass.carriers.methods import Methods
from underpass.carriers.pacing import Pacing
from underpass.carriers.stream import StreamCarrier

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def ended(answer: bytes, *, waits: bool = False) -> tuple[str, bytes]:
    """Why the carrier ended that was answered so, and what came over it."""

    async def script(visitor: RawClient) -> None:
        if (await visitor.head()).startswith(b"DELETE"):
            await visitor.say(NOTHING)
            return
        await visitor.say(answer)
        if waits:
            await visitor.rest()

    feed = ScriptedFeed()
    async with origin(script) as one, asyncio.timeout(5):
        with pytest.raises(CarrierError) as caught:
            await StreamCarrier(client_of(one.port), Methods(), Pacing()).run(feed)
    return caught.value.reason, feed.came


@pytest.mark.parametrize(
    ("answer", "reason", "came"),
    [
        (HEAD + b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n", "has ended", b"onetwo"),
        (HEAD + b"3\r\none\r\n3\r\ntw", "was cut", b"onetw"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP 404", b""),
        (b"", "without an answer", b""),
    ],
)
async def test_every_end_says_why(answer: bytes, reason: str, came: bytes) -> None:
    said, brought = await ended(answer)
    assert reason in said
    assert brought == came


async def test_a_head_that_is_held_back_is_no_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEAD_SECONDS", 0.02)
    said, _ = await ended(b"", waits=True)
    assert "no answer to GET" in said


async def test_silence_for_long_is_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "QUIET_SECONDS", 0.02)
    said, came = await ended(HEAD + b"3\r\none\r\n", waits=True)
    assert "nothing comes down" in said
    assert came == b"one"
    await asyncio.sleep(0)


async def begun(
    pacing: Pacing, post: bytes, monkeypatch: pytest.MonkeyPatch, up: bytes = b"ping"
) -> list[str]:
    """Why it ended, if it did in half a second, where POSTs are answered so; "" for not at all."""
    monkeypatch.setattr(stream, "HASTE_SECONDS", 0.05)

    async def script(visitor: RawClient) -> None:
        line = await visitor.head()
        if line.startswith(b"POST"):
            await visitor.say(post)
            await visitor.rest()
        elif line.startswith(b"GET"):
            await visitor.say(HEAD)
            await visitor.rest()
        await visitor.say(NOTHING)

    feed = ScriptedFeed()
    feed.give(up)
    async with origin(script) as one, asyncio.timeout(5):
        carrier = StreamCarrier(client_of(one.port), Methods(), pacing)
        assert await carrier.open(b"hello") == b""
        try:
            async with asyncio.timeout(0.2):
                await carrier.run(feed)
        except CarrierError as error:
            return [error.reason]
        except TimeoutError:
            return []
    raise AssertionError("it ended without a reason")


async def test_it_makes_room_once_where_no_post_is_answered_beside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pacing = Pacing()
    [reason] = await begun(pacing, b"", monkeypatch)
    assert "no POST is answered" in reason
    assert pacing.path.is_doubted(asyncio.get_running_loop().time())
    # It may only have been slow, and the others worse.
    assert await begun(pacing, b"", monkeypatch) == []


async def test_it_stays_where_posts_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    pacing = Pacing()
    assert await begun(pacing, NOTHING, monkeypatch) == []
    assert not pacing.path.has_been_doubted


async def test_it_stays_on_a_path_that_is_known_to_let_more_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pacing = Pacing()
    pacing.is_parallel = True
    assert await begun(pacing, b"", monkeypatch) == []


async def test_it_gives_what_is_large_the_time_of_a_slow_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pacing = Pacing()
    assert await begun(pacing, b"", monkeypatch, up=bytes(32 * 1024)) == []
    assert not pacing.path.has_been_doubted
