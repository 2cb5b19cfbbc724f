"""What becomes of a client's requests."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import pytest

from tests.unit.frontends.http.dialogue import RawClient, answers
from tests.unit.testing.middlebox.dialogue import NONE, OK, status, walk
from underpass.testing.middlebox import Behaviour, Connect, Login, Pages


async def test_a_plain_request_goes_on_in_origin_form() -> None:
    script = answers(OK)
    async with walk(Behaviour(), script) as it:
        [(head, body)] = await it.ask(it.request())
    assert (status(head), body) == (200, b"hello")
    assert script.heads[0].startswith(b"GET /page HTTP/1.1\r\n")


async def test_a_body_goes_on_when_it_is_whole() -> None:
    script = answers(OK)
    async with walk(Behaviour(), script) as it, it.client() as client:
        request = it.request("POST", b"whole")
        await client.say(request[:-3])
        await asyncio.sleep(0.02)
        assert it.origin.accepted == 0
        await client.say(request[-3:])
        assert status((await client.response())[0]) == 200
    assert script.bodies == [b"whole"]


async def test_an_inline_box_is_taken_for_the_server() -> None:
    async with walk(Behaviour(), answers(OK), is_inline=True) as it:
        [(head, _)] = await it.ask(b"GET /page HTTP/1.1\r\nHost: server.example\r\n\r\n")
    assert status(head) == 200


@pytest.mark.parametrize(
    ("behaviour", "method", "body", "expected"),
    [
        (Behaviour(forward=False), "GET", b"", 403),
        (Behaviour(methods=frozenset({"GET"})), "POST", b"a", 405),
        (Behaviour(max_target=10), "GET", b"", 414),
        (Behaviour(max_body=4), "POST", b"five!", 413),
        (Behaviour(unavailable_chance=1), "GET", b"", 503),
        (Behaviour(pages=Pages.BLOCK), "GET", b"", 200),
        (Behaviour(pages=Pages.PORTAL), "GET", b"", 302),
        (Behaviour(login=Login.BASIC), "GET", b"", 407),
    ],
)
async def test_refuses_and_goes_on(
    behaviour: Behaviour, method: str, body: bytes, expected: int
) -> None:
    async with walk(behaviour, answers()) as it:
        request = it.request(method, body)
        responses = await it.ask(request, request)
    assert [status(head) for head, _ in responses] == [expected, expected]
    assert it.box.record.refused == 2
    assert it.origin.accepted == 0


async def test_says_when_to_come_again() -> None:
    behaviour = Behaviour(unavailable_chance=1, retry_after=3)
    async with walk(behaviour, answers()) as it:
        [(head, _)] = await it.ask(it.request())
    assert b"\r\nRetry-After: 3\r\n" in head


async def test_refuses_chunked_requests() -> None:
    async with walk(Behaviour(refuse_chunked=True), answers()) as it:
        request = it.request("POST", fields="Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n"
        [(head, _)] = await it.ask(request)
    assert status(head) == 411


@pytest.mark.parametrize(
    "request_", [b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n", b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n"]
)
async def test_a_proxy_wants_to_know_where_to(request_: bytes) -> None:
    async with walk(Behaviour(), answers()) as it:
        [(head, _)] = await it.ask(request_)
    assert status(head) == 400


async def test_says_that_nobody_listens() -> None:
    async with walk(Behaviour(), answers()) as it:
        [(head, _)] = await it.ask(b"GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n")
    assert status(head) == 502


async def test_a_post_is_sent_again_at_once_and_later() -> None:
    script = answers(NONE)
    behaviour = Behaviour(repeat_posts=1, replay_after=0.01)
    async with walk(behaviour, script) as it:
        [(head, _)] = await it.ask(it.request("POST", b"a"))
        async with asyncio.timeout(5):
            while it.box.record.repeated < 2:
                await asyncio.sleep(0.001)
    assert status(head) == 204
    assert script.bodies == [b"a"] * 3


async def test_of_two_posts_the_second_goes_first() -> None:
    script = answers(NONE)
    async with walk(Behaviour(reorder_posts=True), script) as it, it.client() as client:
        await client.say(it.request("POST", b"first"))
        async with asyncio.timeout(5):
            while not it.box.record.heads:
                await asyncio.sleep(0)
        await it.ask(it.request("POST", b"second"))
        assert status(await client.head()) == 204
    assert script.bodies == [b"second", b"first"]


async def test_a_get_is_answered_from_memory() -> None:
    async with walk(Behaviour(cache_gets=True), answers(OK)) as it:
        responses = await it.ask(it.request(), it.request())
    assert [body for _, body in responses] == [b"hello", b"hello"]
    assert it.origin.accepted == 1


async def test_one_request_at_a_time() -> None:
    begun = asyncio.Event()
    may_end = asyncio.Event()

    async def slow(visitor: RawClient) -> None:
        await visitor.head()
        begun.set()
        await may_end.wait()
        await visitor.say(OK)

    async with walk(Behaviour(one_at_a_time=True), slow) as it, it.client() as client:
        await client.say(it.request())
        await begun.wait()
        async with asyncio.TaskGroup() as tasks:
            other = tasks.create_task(it.ask(it.request()))
            await asyncio.sleep(0.02)
            assert it.origin.accepted == 1
            may_end.set()
        assert status(other.result()[0][0]) == 200


# --- CONNECT


@pytest.mark.parametrize(
    ("connect", "expected"),
    [(Connect.REFUSED, 403), (Connect.ONLY_443, 403), (Connect.BLOCK_PAGE, 200)],
)
async def test_connect_is_refused(connect: Connect, expected: int) -> None:
    async with walk(Behaviour(connect=connect), answers()) as it, it.client() as client:
        await client.say(it.connect())
        head, body = await client.response()
        assert (status(head), b"blocked" in body) == (expected, True)
        assert await client.rest() == b""


async def echo(visitor: RawClient) -> None:
    while data := await visitor.reader.read(1024):
        await visitor.say(data)


async def test_connect_opens_a_stream_that_ends_each_way() -> None:
    async with walk(Behaviour(), echo) as it, it.client() as client:
        await client.say(it.connect())
        assert status(await client.head()) == 200
        await client.say(b"anything")
        client.finish()
        assert await client.rest() == b"anything"


async def test_a_stream_that_is_not_tls_is_reset() -> None:
    async with walk(Behaviour(only_tls=True), echo) as it, it.client() as client:
        await client.say(it.connect())
        assert status(await client.head()) == 200
        await client.say(b"GET / HTTP/1.1\r\n")
        with pytest.raises(ConnectionError):
            await client.rest()


async def test_a_stream_that_begins_as_tls_goes_on() -> None:
    async with walk(Behaviour(only_tls=True), echo) as it, it.client() as client:
        await client.say(it.connect())
        assert status(await client.head()) == 200
        await client.say(b"\x16\x03\x01")
        assert await client.exactly(3) == b"\x16\x03\x01"


async def test_the_destination_of_a_client_that_is_reset_before_it_speaks_is_left() -> None:
    ended = asyncio.Event()

    async def wait_for_the_end(visitor: RawClient) -> None:
        with contextlib.suppress(ConnectionError):
            await visitor.rest()
        ended.set()

    async with walk(Behaviour(only_tls=True), wait_for_the_end) as it, it.client() as client:
        await client.say(it.connect())
        assert status(await client.head()) == 200
        client.reset()
        async with asyncio.timeout(5):
            await ended.wait()


async def test_whoever_wants_no_tls_is_left() -> None:
    behaviour = Behaviour(opens_tls=True)
    async with walk(behaviour, answers()) as it, it.client() as client:
        await client.say(it.connect())
        assert status(await client.head()) == 200
        await client.say(b"no TLS, this is\r\n\r\n")
        with pytest.raises((ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)):
            await client.exactly(1000)


async def test_an_origin_without_tls_can_not_be_opened() -> None:
    async def leave(visitor: RawClient) -> None:
        await visitor.exactly(1)

    async with walk(Behaviour(opens_tls=True), leave, is_inline=True) as it:
        context = ssl.create_default_context(cadata=it.box.authority.decode())
        address = it.box.address
        client = RawClient(*await asyncio.open_connection(address.host, address.port, ssl=context))
        await client.say(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert status(await client.head()) == 502
        await client.close()
