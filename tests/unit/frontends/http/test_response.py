"""A server's response on its way to the client: whole and in order, or visibly cut."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.unit.frontends.http.dialogue import Dialled, RawClient, Script, bench, field_of, origin
from tests.unit.net.test_message_stream import Scripted, messages
from underpass.address import Address
from underpass.frontends.http import response as response_module
from underpass.frontends.http.authentication import ANONYMOUS
from underpass.frontends.http.exchange import Exchange
from underpass.frontends.http.pool import Pool, PoolLimits
from underpass.frontends.http.response import MAX_INTERIM, Responder
from underpass.frontends.http.state import FrontEndOptions, FrontEndState
from underpass.net.message_stream import MessageStream
from underpass.observe import Observer
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, RequestHead
from underpass.protocol.http.message import ResponseReader

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HERE = Address.parse("192.0.2.1:80")
QUICK = FrontEndOptions(response_timeout=0.05)


def get(name: bytes, more: bytes = b"", version: bytes = b"1.1") -> bytes:
    return b"GET http://%s/ HTTP/%s\r\nHost: %s\r\n%s\r\n" % (name, version, name, more)


def says(*pieces: bytes) -> Script:
    """An origin that reads one head and says `pieces`, each after the one before was sent."""

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        for piece in pieces:
            await visitor.say(piece)
            await asyncio.sleep(0)

    return script


async def test_a_response_comes_through_however_it_is_cut() -> None:
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
    )
    script = says(*[chunked[i : i + 1] for i in range(len(chunked))])
    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(get(there.name, b"Connection: close\r\n"))
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
        assert field_of(head, b"transfer-encoding") == b"chunked"
        data, _, trailers = body.partition(b"\r\n0\r\n")
        assert b"".join(data.split(b"\r\n")[1::2]) == b"abc"
        assert trailers == b"X-T: 1\r\n\r\n"
        assert (await b.record()).received == 3


async def test_tiny_chunks_come_together_and_others_get_their_turn() -> None:
    tiny = b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n"
    inbound, server = messages(), MessageStream(Scripted(tiny), ResponseReader())
    server.reader.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    server.reader.expect(b"GET")
    state = FrontEndState(Dialled(), Observer(), FrontEndOptions(), None, Pool(PoolLimits()))
    exchange = Exchange(None, "127.0.0.1")
    responder = Responder(state, server, inbound, exchange, Dialled().route_for(ANONYMOUS, HERE))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while not responder.is_whole:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(responder.respond(RequestHead(b"GET", b"/", HTTP_11, Fields())))
        tasks.create_task(count())
    assert isinstance(inbound.stream, Scripted)
    # The head, when nothing more was there; then all that came at once.
    assert inbound.stream.sent[1:] == [tiny]
    assert exchange.received == 1000
    assert turns


async def test_via_tells_what_the_server_speaks() -> None:
    response = OK.replace(b"HTTP/1.1", b"HTTP/1.0")
    async with origin(says(response)) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(get(there.name))
        head, body = await client.response()
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert field_of(head, b"via") == b"1.0 underpass"
        assert body == b"ok"
        # The client stays, the stream of HTTP/1.0 does not.
        await client.say(get(there.name))
        await client.response()
        assert there.accepted == 2


async def test_http_1_0_on_both_sides_ends_with_the_stream() -> None:
    script = says(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n", b"all ", b"of it")
    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(b"GET http://%s/ HTTP/1.0\r\n\r\n" % there.name)
        head = await client.head()
        assert field_of(head, b"connection") == b"close"
        assert field_of(head, b"via") == b"1.0 underpass"
        assert await client.rest() == b"all of it"
        assert (await b.record()).reason == "ok"


async def test_a_server_that_closes_is_not_asked_again() -> None:
    response = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(response)
        # It waits for our end, which comes in order.
        assert await visitor.rest() == b""

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        for _ in range(2):
            await client.say(get(there.name))
            head, _ = await client.response()
            assert field_of(head, b"connection") is None
        assert there.accepted == 2
        assert there.problems == []


async def test_a_client_of_http_1_0_is_told_no_interim_response() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    async with origin(says(hints + OK)) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(get(there.name, version=b"1.0"))
        head, body = await client.response()
        assert head.startswith(b"HTTP/1.1 200 ")
        assert body == b"ok"
        assert await client.rest() == b""


async def test_interim_responses_go_on_as_they_come() -> None:
    told = asyncio.Event()

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(b"HTTP/1.1 102 Processing\r\nContent-Length: 5\r\n\r\n")
        await told.wait()
        await visitor.say(OK)

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(get(there.name))
        head = await client.head()
        assert head.startswith(b"HTTP/1.1 102 Processing\r\n")
        assert field_of(head, b"content-length") is None
        assert field_of(head, b"via") == b"1.1 underpass"
        told.set()
        assert (await client.response())[1] == b"ok"


async def test_an_endless_row_of_interim_responses_is_a_502() -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    script = says(hint * (MAX_INTERIM + 1) + OK)
    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(get(there.name))
        for _ in range(MAX_INTERIM + 1):
            assert (await client.head()).startswith(b"HTTP/1.1 103 ")
        assert (await client.head()).startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize(
    ("beginning", "length"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"9"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", None),
    ],
)
@pytest.mark.parametrize("reset", [False, True])
async def test_what_is_cut_is_cut_for_the_client(
    beginning: bytes, length: bytes | None, reset: bool
) -> None:
    received = asyncio.Event()

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(beginning)
        await received.wait()
        if reset:
            visitor.reset()

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(get(there.name))
        assert field_of(await client.head(), b"content-length") == length
        await client.reader.readuntil(b"half")
        received.set()
        with pytest.raises(ConnectionResetError):
            await client.rest()
        assert (await b.record()).reason.startswith("response incomplete")


async def test_a_reset_of_what_only_its_end_delimits_is_no_end() -> None:
    received = asyncio.Event()

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await received.wait()
        visitor.reset()

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(get(there.name))
        await client.head()
        assert await client.exactly(4) == b"half"
        received.set()
        with pytest.raises(ConnectionResetError):
            await client.rest()


async def test_a_broken_chunk_after_the_head_cuts() -> None:
    received = asyncio.Event()

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        await received.wait()
        await visitor.say(b"zz\r\n")

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(get(there.name))
        await client.head()
        assert await client.exactly(7) == b"2\r\nab\r\n"
        received.set()
        with pytest.raises(ConnectionResetError):
            await client.rest()
        assert (await b.record()).status == 200


async def test_a_server_that_stalls_in_the_body_cuts() -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await visitor.rest()

    async with origin(script) as there, bench(Dialled(), QUICK) as b, b.client() as client:
        await client.say(get(there.name))
        await client.head()
        with pytest.raises(ConnectionResetError):
            await client.rest()
        assert (await b.record()).reason == "no response in time: the server is silent"


@pytest.mark.parametrize("when", ["before", "within the head"])
async def test_a_server_that_ends_without_an_answer_is_a_502(when: str) -> None:
    script = says(b"" if when == "before" else b"HTTP/1.1 200 OK\r\n")
    error = b"connection_terminated" if when == "before" else b"http_response_incomplete"
    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(get(there.name))
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert b"error=" + error in (field_of(head, b"proxy-status") or b"")
        assert there.accepted == 1


async def test_a_server_that_resets_before_its_answer_is_a_502() -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        visitor.reset()

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(get(there.name))
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert b"error=connection_terminated" in (field_of(head, b"proxy-status") or b"")


async def test_a_response_head_beyond_the_limit_is_a_502() -> None:
    script = says(b"HTTP/1.1 200 OK\r\nA: %s\r\n\r\n" % (b"a" * 70_000))
    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(get(there.name))
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 502 ")
        error = b"error=http_response_header_section_size"
        assert error in (field_of(head, b"proxy-status") or b"")


async def test_a_client_that_stops_reading_is_given_up() -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await visitor.say(bytes(1024 * 1024))

    async with origin(script) as there, bench(Dialled(), QUICK) as b, b.client() as client:
        client.stop_reading()
        await client.say(get(there.name))
        record = await b.record()
        assert (record.status, record.reason) == (200, "the other end stopped reading")


async def test_a_reset_of_the_client_reaches_the_server() -> None:
    cut = asyncio.Event()

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                await visitor.say(b"more")
                await asyncio.sleep(0)
        except ConnectionError:
            cut.set()

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(get(there.name))
        await client.head()
        await client.exactly(4)
        client.reset()
        async with asyncio.timeout(5):
            await cut.wait()
        record = await b.record()
        assert record.status == 200
        assert record.reason.startswith("reset by the other end")


@pytest.mark.parametrize("patience", [5.0, None])
async def test_a_server_works_for_no_client_that_is_gone(
    monkeypatch: pytest.MonkeyPatch, patience: float | None
) -> None:
    monkeypatch.setattr(response_module, "LOOK_SECONDS", 0.005)
    asked, cut = asyncio.Event(), asyncio.Event()

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        asked.set()
        with contextlib.suppress(ConnectionResetError):
            await visitor.rest()
        cut.set()

    options = FrontEndOptions(response_timeout=patience)
    async with origin(script) as there, bench(Dialled(), options) as b, b.client() as client:
        await client.say(get(there.name))
        await asked.wait()
        client.reset()
        async with asyncio.timeout(5):
            await cut.wait()
        record = await b.record()
        assert (record.status, record.reason) == (0, "reset by the client")


async def test_a_client_that_is_there_waits_as_long_as_it_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(response_module, "LOOK_SECONDS", 0.001)

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await asyncio.sleep(0.02)
        await visitor.say(OK)

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(get(there.name))
        assert (await client.response())[1] == b"ok"
