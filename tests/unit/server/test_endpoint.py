"""The server's HTTP as its visitors see it: carriers, and strangers who must not be told apart."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

import pytest

from tests.unit.carriers.world import HELLO, WELCOME, World, world
from tests.unit.frontends.http.dialogue import RawClient, field_of
from underpass.carriers.pieces import encode_data
from underpass.protocol.frames import CloseCode

TOKEN = "abcdefghijklmnopqrst_-"
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@contextlib.asynccontextmanager
async def visitor(one: World) -> AsyncIterator[RawClient]:
    client = RawClient(*await asyncio.open_connection("127.0.0.1", one.port))
    try:
        yield client
    finally:
        await client.close()


def request(line: str, body: bytes = b"", fields: str = "") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{line} HTTP/1.1\r\nHost: a\r\n{length}{fields}\r\n".encode("ascii") + body


async def opened(client: RawClient) -> None:
    await client.say(request(f"PUT /below/{TOKEN}", HELLO))
    head, body = await client.response()
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == WELCOME


def same(answer: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """An answer without its date."""
    return re.sub(rb"Date: [^\r]*", b"Date:", answer[0]), answer[1]


async def test_a_carrier_opens_moves_and_ends() -> None:
    async with world() as one, visitor(one) as client:
        await opened(client)
        await client.say(request(f"POST /below/{TOKEN}/0", b""))
        head = await client.head()
        assert head.startswith(b"HTTP/1.1 204 ")
        assert field_of(head, b"cache-control") == b"no-store, no-transform"
        await client.say(request(f"GET /below/{TOKEN}/0", fields="Prefer: wait=0\r\n"))
        head, body = await client.response()
        assert field_of(head, b"cache-control") == b"no-store, no-transform"
        assert field_of(head, b"content-type") == b"application/octet-stream"
        assert body == b""
        await client.say(request(f"DELETE /below/{TOKEN}"))
        assert (await client.head()).startswith(b"HTTP/1.1 204 ")
        await one.until(lambda: len(one.table) == 0)


async def test_the_end_of_a_carrier_that_has_ended_is_no_error() -> None:
    """The session's last word ends the carrier at the server before the client can."""
    async with world() as one, visitor(one) as client:
        await opened(client)
        one.server.abort(CloseCode.DONE, "enough")
        for number in range(2):
            # The first brings it.
            await client.say(request(f"GET /below/{TOKEN}/{number}"))
            await client.response()
        await one.until(lambda: len(one.table) == 0)
        for line in ("DELETE /below/{}", "POST /below/{}/end", "GET /below/{}/end"):
            await client.say(request(line.format(TOKEN)))
            assert (await client.head()).startswith(b"HTTP/1.1 204 ")
        await client.say(request("GET /nothing-here"))
        expected = same(await client.response())
        await client.say(request(f"GET /below/{TOKEN}/0"))
        assert same(await client.response()) == expected


async def test_what_streams_says_so() -> None:
    async with world() as one, visitor(one) as client:
        await opened(client)
        await client.say(request(f"GET /below/{TOKEN}/down"))
        head = await client.head()
        assert field_of(head, b"transfer-encoding") == b"chunked"
        assert field_of(head, b"x-accel-buffering") == b"no"
        assert field_of(head, b"incremental") == b"?1"


@pytest.mark.parametrize(
    "asked",
    [
        request("GET /"),
        request(f"PUT /below/{TOKEN}", HELLO[:-1]),
        request(f"PUT /below/{TOKEN}", HELLO + b"x"),
        request(f"PUT /below/{TOKEN}", bytes(5000)),
        request(f"PUT /below/{TOKEN}"),
        request(f"PUT /elsewhere/{TOKEN}", HELLO),
        request(f"POST /below/{TOKEN}/open", b"who?"),
        request(f"POST /below/{TOKEN}/0", b"up"),
        request(f"GET /below/{TOKEN}/0"),
        request(f"GET /below/{TOKEN}/down"),
        request(f"GET /below/{TOKEN}/0/AQID"),
        request(f"GET /below/{TOKEN}/3/AQID"),
        request(f"DELETE /below/{TOKEN}"),
        request(f"GET /below/{TOKEN}/AQID", fields=UPGRADE),
        request(f"GET /below/{TOKEN}/{'A' * 8000}", fields=UPGRADE),
        request("GET /below/x", fields=UPGRADE),
        request("PATCH /", b"anything"),
    ],
)
async def test_strangers_are_not_told_apart(asked: bytes) -> None:
    async with world() as one, visitor(one) as client:
        await client.say(request("GET /nothing-here"))
        plain = same(await client.response())
        assert plain[0].startswith(b"HTTP/1.1 404 ")
        await client.say(asked)
        assert same(await client.response()) == plain
        # And they may go on.
        await client.say(request("GET /nothing-here"))
        assert same(await client.response()) == plain


@pytest.mark.parametrize("path", ["/nothing-here", f"/below/{TOKEN}", f"/below/{TOKEN}/0"])
async def test_every_body_is_read_before_the_answer(path: str) -> None:
    async with world() as one, visitor(one) as client:
        await client.say(f"PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n".encode())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await client.reader.read(1)
        await client.say(b"end")
        assert (await client.head()).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("path", ["/nothing-here", f"/below/{TOKEN}", f"/below/{TOKEN}/0"])
async def test_a_body_too_long_is_refused_from_its_head(path: str) -> None:
    async with world() as one, visitor(one) as client:
        await client.say(
            f"PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n".encode()
        )
        assert (await client.rest()).startswith(b"HTTP/1.1 413 ")


async def test_a_repeated_opening_gets_the_same_answer() -> None:
    async with world() as one, visitor(one) as client:
        await opened(client)
        await opened(client)
        assert len(one.table) == 1


async def test_a_wrong_method_of_a_known_carrier_finds_nothing() -> None:
    async with world() as one, visitor(one) as client:
        await opened(client)
        await client.say(request(f"PUT /below/{TOKEN}/0", b"x"))
        assert (await client.response())[0].startswith(b"HTTP/1.1 404 ")


async def test_the_websocket_answers_only_a_valid_opening() -> None:
    async with world() as one, visitor(one) as client:
        await client.say(request(f"GET /below/{TOKEN}/{encode_data(HELLO)}", fields=UPGRADE))
        head = await client.head()
        assert head.startswith(b"HTTP/1.1 101 ")
        # RFC 6455 section 1.3 has this very pair.
        assert field_of(head, b"sec-websocket-accept") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert await client.exactly(2 + len(WELCOME)) == bytes((0x82, len(WELCOME))) + WELCOME


async def test_a_proved_client_is_settled_at_the_gate() -> None:
    async with world() as one, visitor(one) as client:
        await opened(client)
        assert one.unsettled() == 0
        async with visitor(one) as other:
            await other.say(request("GET /"))
            await other.response()
            assert one.unsettled() == 1


async def test_draining_lets_go_of_who_waits() -> None:
    async with world() as one, visitor(one) as client:
        await client.say(request("GET /"))
        await client.response()
        one.endpoint.drain()
        assert await client.rest() == b""
