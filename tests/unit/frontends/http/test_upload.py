"""A request's body on its way to the server: whole and as it comes, or never taken for whole."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.unit.frontends.http.dialogue import (
    SECONDS,
    Dialled,
    RawClient,
    Script,
    bench,
    field_of,
    origin,
)
from tests.unit.net.test_message_stream import Scripted, messages
from underpass.errors import StreamReset
from underpass.frontends.http.exchange import Exchange
from underpass.frontends.http.state import FrontEndOptions
from underpass.frontends.http.upload import SentBody, Upload
from underpass.protocol.http.framing import UNTIL_CLOSE

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
QUICK = FrontEndOptions(response_timeout=0.05)
LENGTH = b"Content-Length: 10\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
MEGABYTE = 1024 * 1024


def put(name: bytes, fields: bytes, method: bytes = b"PUT", version: bytes = b"1.1") -> bytes:
    start = b"%s http://%s/ HTTP/%s\r\n" % (method, name, version)
    return start + b"Host: %s\r\n%s\r\n" % (name, fields)


def test_a_sent_body_is_kept_as_long_as_it_is_small() -> None:
    body = SentBody(5)
    body.add(b"abc")
    body.add(b"de")
    assert (body.pieces, body.is_whole) == ([b"abc", b"de"], True)
    body.add(b"f")
    assert (body.pieces, body.is_whole) == ([], False)
    body.add(b"")
    assert not body.is_whole


@pytest.mark.parametrize("kept", [[], [b"begin"]])
async def test_a_server_that_wants_no_more_is_left_to_say_why(kept: list[bytes]) -> None:
    exchange = Exchange(None, "127.0.0.1", UNTIL_CLOSE)
    inbound = messages(put(b"h", LENGTH) + b"01234")
    await inbound.next_event()
    sent = SentBody(100)
    for piece in kept:
        sent.add(piece)
    upload = Upload(FrontEndOptions(), inbound, Scripted(takes=StreamReset("gone")), exchange, sent)
    await upload.run()
    assert upload.failure is None
    # Whatever the answer is, the client's stream is not in step any more.
    assert exchange.body_unread


async def test_what_was_sent_before_goes_first() -> None:
    exchange = Exchange(None, "127.0.0.1", UNTIL_CLOSE)
    inbound = messages(put(b"h", LENGTH) + b"01234", b"56789")
    await inbound.next_event()
    sent, server = SentBody(100), Scripted()
    sent.add(b"before")
    await Upload(FrontEndOptions(), inbound, server, exchange, sent).run()
    assert server.sent == [b"before", b"01234", b"56789"]
    assert sent.pieces == server.sent
    assert (exchange.sent, exchange.body_unread) == (10, False)


async def test_tiny_chunks_go_on_together_and_others_get_their_turn() -> None:
    exchange = Exchange(None, "127.0.0.1", UNTIL_CLOSE)
    inbound = messages(put(b"h", CHUNKED) + b"1\r\nx\r\n" * 1000, b"0\r\n\r\n")
    await inbound.next_event()
    server, turns = Scripted(), 0
    upload = Upload(FrontEndOptions(), inbound, server, exchange, SentBody(0))

    async def count() -> None:
        nonlocal turns
        while exchange.body_unread:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(upload.run())
        tasks.create_task(count())
    assert server.sent == [b"3e8\r\n" + b"x" * 1000 + b"\r\n", b"0\r\n\r\n"]
    assert turns


async def test_a_body_goes_on_as_it_comes() -> None:
    got: list[bytes] = []
    come = asyncio.Semaphore(0)

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        for _ in range(2):
            got.append(await visitor.exactly(5))
            come.release()
        await visitor.say(OK)

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(put(there.name, LENGTH) + b"01234")
        await come.acquire()
        await client.say(b"56789")
        assert (await client.response())[1] == b"ok"
        assert got == [b"01234", b"56789"]


async def test_large_bodies_come_whole_however_they_are_framed() -> None:
    body = bytes(range(256)) * (MEGABYTE // 256)

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        assert await visitor.exactly(MEGABYTE) == body
        await visitor.say(OK)
        head = await visitor.head()
        assert field_of(head, b"transfer-encoding") == b"chunked"
        assert field_of(head, b"content-length") is None
        data = b""
        while size := int(await visitor.reader.readuntil(b"\r\n"), 16):
            data += await visitor.exactly(size)
            assert await visitor.exactly(2) == b"\r\n"
        assert await visitor.exactly(2) == b"\r\n"
        assert data == body
        await visitor.say(OK)

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(put(there.name, b"Content-Length: %d\r\n" % MEGABYTE) + body)
        assert (await client.response())[1] == b"ok"
        await client.say(put(there.name, CHUNKED) + b"%x\r\n%s\r\n0\r\n\r\n" % (MEGABYTE, body))
        assert (await client.response())[1] == b"ok"
        assert there.problems == []
        assert there.accepted == 1
        assert (await b.record(1)).sent == MEGABYTE


async def test_a_body_of_http_1_0_goes_on_as_http_1_1() -> None:
    async def script(visitor: RawClient) -> None:
        head = await visitor.head()
        assert head.startswith(b"PUT / HTTP/1.1\r\n")
        assert field_of(head, b"expect") is None
        assert await visitor.exactly(10) == b"0123456789"
        await visitor.say(OK)

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        fields = LENGTH + b"Expect: 100-continue\r\n"
        await client.say(put(there.name, fields, version=b"1.0") + b"0123456789")
        assert (await client.response())[1] == b"ok"
        assert await client.rest() == b""
        assert there.problems == []


@pytest.mark.parametrize("fields", [LENGTH, CHUNKED])
async def test_a_server_may_answer_before_it_has_the_body(fields: bytes) -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        # The request never becomes whole for it.
        with pytest.raises(ConnectionResetError):
            await visitor.rest()

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(put(there.name, fields))
        head, body = await client.response()
        assert head.startswith(b"HTTP/1.1 413 ")
        assert field_of(head, b"connection") == b"close"
        assert body == b"no"
        assert await client.rest() == b""
        assert (await b.record()).status == 413
    assert there.problems == []


async def test_an_answer_may_come_while_the_body_goes() -> None:
    async def echo(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        for _ in range(2):
            await visitor.say(await visitor.exactly(5))

    async with origin(echo) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(put(there.name, LENGTH))
        await client.head()
        for piece in (b"01234", b"56789"):
            await client.say(piece)
            assert await client.exactly(5) == piece
        assert (await b.record()).sent == 10


async def test_a_server_that_ends_within_the_body_is_a_502() -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.exactly(5)
        visitor.reset()

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(put(there.name, LENGTH) + b"01234")
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert field_of(head, b"connection") == b"close"
        # PUT is idempotent, but its body is gone.
        assert there.accepted == 1


async def test_a_server_that_stops_reading_may_still_say_why() -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(b"HTTP/1.1 507 Full\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        visitor.finish()

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(put(there.name, b"Content-Length: %d\r\n" % MEGABYTE) + b"x" * 1000)
        head, body = await client.response()
        assert head.startswith(b"HTTP/1.1 507 ")
        assert body == b"no"


def remembering(got: list[bytes | str]) -> Script:
    """An origin that remembers a whole body, or that it was reset."""

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        try:
            got.append(await visitor.rest())
        except ConnectionResetError:
            got.append("reset")

    return script


@pytest.mark.parametrize("fields", [LENGTH, CHUNKED])
@pytest.mark.parametrize("how", ["end", "reset"])
async def test_a_body_that_its_client_cuts_is_never_whole(fields: bytes, how: str) -> None:
    got: list[bytes | str] = []
    async with origin(remembering(got)) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(put(there.name, fields) + b"5\r\n012")
        while not there.accepted:
            await asyncio.sleep(0.001)
        if how == "end":
            client.finish()
            head, _ = await client.response()
            assert head.startswith(b"HTTP/1.1 400 ")
            assert await client.rest() == b""
        else:
            client.reset()
        record = await b.record()
        assert record.status == (400 if how == "end" else 0)
        async with asyncio.timeout(SECONDS):
            while not got:
                await asyncio.sleep(0.001)
    assert got == ["reset"]


@pytest.mark.parametrize(
    ("expect", "come", "status"),
    [
        (b"", b"", 408),
        (b"", b"01234", 408),
        (b"Expect: 100-continue\r\n", b"", 504),
        (b"Expect: 100-continue\r\n", b"01234", 408),
    ],
)
async def test_who_is_silent_is_told_apart(expect: bytes, come: bytes, status: int) -> None:
    got: list[bytes | str] = []
    async with (
        origin(remembering(got)) as there,
        bench(Dialled(), QUICK) as b,
        b.client() as client,
    ):
        await client.say(put(there.name, LENGTH + expect) + come)
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert field_of(head, b"connection") == b"close"
        assert await client.rest() == b""
    assert got == ["reset"]


async def test_a_client_that_is_told_to_go_on_and_does_not_is_a_408() -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        await visitor.rest()

    async with origin(script) as there, bench(Dialled(), QUICK) as b, b.client() as client:
        await client.say(put(there.name, LENGTH + b"Expect: 100-continue\r\n"))
        assert (await client.head()).startswith(b"HTTP/1.1 100 ")
        assert (await client.head()).startswith(b"HTTP/1.1 408 ")


async def test_a_server_that_takes_no_body_is_a_504() -> None:
    over = asyncio.Event()

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        visitor.stop_reading()
        await over.wait()

    async def flood(client: RawClient) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await client.say(bytes(MEGABYTE))

    async with origin(script) as there, bench(Dialled(), QUICK) as b, b.client() as client:
        await client.say(put(there.name, b"Content-Length: %d\r\n" % 2**40))
        async with asyncio.TaskGroup() as tasks:
            flooding = tasks.create_task(flood(client))
            assert (await b.record()).status == 504
            flooding.cancel()
        over.set()


async def test_a_silence_of_the_server_does_not_count_while_a_body_comes() -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.reader.readuntil(b"\r\n0\r\n\r\n")
        await visitor.say(OK)

    async with origin(script) as there, bench(Dialled(), QUICK) as b, b.client() as client:
        await client.say(put(there.name, CHUNKED))
        # Longer in all than the time that the server has for its answer.
        clock = asyncio.get_running_loop().time
        end = clock() + 0.1
        while clock() < end:
            await client.say(b"1\r\nx\r\n")
            await asyncio.sleep(0.001)
        await client.say(b"0\r\n\r\n")
        assert (await client.response())[1] == b"ok"
        assert there.problems == []


async def test_trailers_go_on_but_none_that_frames_or_authenticates() -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        end = b"2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n"
        assert await visitor.exactly(len(end)) == end
        await visitor.say(OK)

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        trailers = b"X-Sum: 1\r\nContent-Length: 5\r\nAuthorization: x\r\n\r\n"
        await client.say(put(there.name, CHUNKED) + b"2\r\nab\r\n0\r\n" + trailers)
        assert (await client.response())[1] == b"ok"
        assert there.problems == []


@pytest.mark.parametrize("fields", [b"Content-Length: 6\r\n", CHUNKED])
async def test_a_body_over_the_limit_goes_nowhere(fields: bytes) -> None:
    got: list[bytes | str] = []
    options = FrontEndOptions(max_body_bytes=5)
    async with (
        origin(remembering(got)) as there,
        bench(Dialled(), options) as b,
        b.client() as client,
    ):
        await client.say(put(there.name, fields) + b"6\r\nabcdef\r\n0\r\n\r\n")
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 413 ")
        assert field_of(head, b"connection") == b"close"
        assert await client.rest() == b""
    assert got in ([], ["reset"])


async def test_a_refused_body_that_waits_for_100_is_answered_at_once() -> None:
    async with bench(Dialled(), FrontEndOptions(max_body_bytes=5)) as b, b.client() as client:
        await client.say(put(b"192.0.2.1", LENGTH + b"Expect: 100-continue\r\n"))
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 413 ")
        assert field_of(head, b"connection") == b"close"
        assert await client.rest() == b""
