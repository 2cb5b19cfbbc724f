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
