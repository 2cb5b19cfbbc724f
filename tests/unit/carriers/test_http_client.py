"""A carrier's requests: kept streams, time-outs, bounds, and what is no answer."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.carriers.script import NOTHING, answering, client_of, ok, refused, until
from tests.unit.frontends.http.dialogue import RawClient, answers, origin
from underpass.carriers import http_client
from underpass.carriers.base import CarrierError
from underpass.carriers.http_client import Request
from underpass.errors import RemoteProtocolError


async def test_streams_are_kept_between_requests() -> None:
    async def answer(line: str, body: bytes) -> bytes:
        return ok(line.encode("ascii"))

    async with answering(answer) as (client, one):
        for number in range(3):
            answered = await client.exchange(Request("GET", f"T/{number}"))
            assert answered.body == b"GET /T/%d" % number
        assert one.accepted == 1
        await client.exchange(Request("PUT", "T", b"x", is_repeatable=False))
        assert one.accepted == 2


async def test_a_kept_stream_that_is_dead_costs_nothing() -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(NOTHING)
        await visitor.head()
        visitor.reset()

    async with origin(script) as one:
        client = client_of(one.port)
        await client.exchange(Request("GET", "T/0"))
        one.script = answers(ok(b"again"))
        assert (await client.exchange(Request("GET", "T/1"))).body == b"again"
        client.close()


async def test_a_redirect_is_an_answer_like_any_other() -> None:
    async def answer(line: str, body: bytes) -> bytes:
        return refused(302, "Location: http://login.example/")

    async with answering(answer) as (client, one):
        assert (await client.exchange(Request("GET", "T"))).status == 302
        assert one.accepted == 1


async def test_no_answer_in_time_is_an_error() -> None:
    async def answer(line: str, body: bytes) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    async with answering(answer) as (client, _):
        with pytest.raises(CarrierError, match=r"no answer to GET in 0\.05 s"):
            await client.exchange(Request("GET", "T", seconds=0.05))


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"",
    ],
)
async def test_what_is_no_answer_is_an_error(answer: bytes) -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(answer)

    async with origin(script) as one:
        with pytest.raises(CarrierError):
            await client_of(one.port).exchange(Request("GET", "T"))


async def test_an_answer_longer_than_any_of_the_servers_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_client, "MAX_BODY_BYTES", 10)
    async with answering(lambda line, body: asyncio.sleep(0, ok(bytes(11)))) as (client, _):
        with pytest.raises(CarrierError, match="longer"):
            await client.exchange(Request("GET", "T"))


async def test_nobody_there_is_an_error() -> None:
    with pytest.raises(CarrierError, match="refused"):
        await client_of(1).exchange(Request("GET", "T"))


async def test_a_streamed_answer_comes_piece_by_piece() -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await until(lambda: came == [b"one"])
        await visitor.say(b"3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n")

    came: list[bytes] = []
    request = Request("GET", "T/down")
    async with origin(script) as one, client_of(one.port).streaming(request) as answer:
        assert answer.head.status == 200
        await answer.pour(came.append, 5.0)
    assert came == [b"one", b"twothree"]


async def test_a_streamed_answer_over_which_nothing_comes_any_more_is_given_up() -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await visitor.rest()

    came: list[bytes] = []
    async with (
        origin(script) as one,
        client_of(one.port).streaming(Request("GET", "T/down")) as answer,
    ):
        with pytest.raises(TimeoutError):
            await answer.pour(came.append, 0.01)
    assert came == [b"one"]


@pytest.mark.parametrize(
    ("rest", "error"),
    [(b"3\r\non", RemoteProtocolError), (b"x\r\n", RemoteProtocolError)],
)
async def test_a_streamed_answer_that_is_cut_or_broken_is_an_error(
    rest: bytes, error: type[Exception]
) -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + rest)

    async with (
        origin(script) as one,
        client_of(one.port).streaming(Request("GET", "T/down")) as answer,
    ):
        with pytest.raises(error):
            await answer.pour(lambda data: None, 5.0)


async def test_retry_after_is_kept_to_where_it_is_sane() -> None:
    for said, kept in (("3", 3.0), ("99999", 600.0), ("soon", None), ("9" * 9, None)):

        async def answer(line: str, body: bytes, said: str = said) -> bytes:
            return refused(503, f"Retry-After: {said}")

        async with answering(answer) as (client, _):
            answered = await client.exchange(Request("GET", "T"))
            assert answered.error("busy").retry_after == kept
