"""Bytes that come before anybody agreed to them (RFC 9931; CVE-2026-2833, CVE-2015-5400).

What follows a CONNECT or an Upgrade is held until the other side said 2xx or 101. Where it said
something else, not one byte of it may have left; and a stream that was refused carries no more.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.frontends.http.dialogue import RawClient, Script, origin, stage

# Long for loopback: what was sent on too early would be here by then.
QUIET = 0.02

EARLY = {
    "a request": b"GET http://%s/evil HTTP/1.1\r\nHost: %s\r\n\r\n",
    "an origin's request": b"GET /evil HTTP/1.1\r\nHost: evil\r\n\r\n",
    "a tunnel's first bytes": b"\x16\x03\x01\x02\x00evil",
    "a WebSocket frame": b"\x82\x84evilevil",
}

REFUSALS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
    b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 426 No\r\nUpgrade: other\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 500 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
)

UPGRADE = b"GET http://%s/ HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def answering(answer: bytes, seen: bytearray) -> Script:
    """A script that answers its first head and keeps everything it is sent."""

    async def script(visitor: RawClient) -> None:
        seen.extend(await visitor.head())
        await visitor.say(answer)
        while data := await visitor.reader.read(65536):
            seen.extend(data)

    return script


def filled(early: bytes, name: bytes) -> bytes:
    return early.replace(b"%s", name)


@pytest.mark.parametrize("early", EARLY.values(), ids=EARLY)
@pytest.mark.parametrize("answer", REFUSALS)
async def test_an_upgrade_that_is_refused_lets_nothing_through(answer: bytes, early: bytes) -> None:
    seen = bytearray()
    async with origin(answering(answer, seen)) as there, stage() as s, s.client() as client:
        # To an address that nobody may reach: if it is taken for a request, it is refused as one.
        await client.say(UPGRADE % there.name + filled(early, b"127.0.0.1:25"))
        assert (await client.head()).startswith(answer[:12])
        client.finish()
        rest = await client.rest()
        assert b" 101 " not in rest
        assert b"evil" not in seen
        assert seen.count(b"HTTP/1.1\r\n") == 1


@pytest.mark.parametrize("early", EARLY.values(), ids=EARLY)
async def test_an_upgrade_that_is_agreed_to_gets_its_bytes_once(early: bytes) -> None:
    heard: list[bytes] = []

    async def agrees(visitor: RawClient) -> None:
        await visitor.head()
        # Nothing beyond the head is here yet, whatever the client has sent with it.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(QUIET):
                heard.append(await visitor.reader.read(1))
        await visitor.say(b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        heard.append(await visitor.rest())

    async with origin(agrees) as there, stage() as s, s.client() as client:
        bytes_ = filled(early, there.name)
        await client.say(UPGRADE % there.name + bytes_)
        assert (await client.head()).startswith(b"HTTP/1.1 101 ")
        client.finish()
        assert await client.rest() == b""
        assert heard == [bytes_]


CONNECT = b"CONNECT %s HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.mark.parametrize("early", EARLY.values(), ids=EARLY)
@pytest.mark.parametrize("answer", [*REFUSALS[2:], b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"])
async def test_a_connect_that_the_parent_refuses_lets_nothing_through(
    answer: bytes, early: bytes
) -> None:
    seen = bytearray()
    async with origin(answering(answer, seen)) as parent:
        via = f"http://{parent.name.decode()}"
        async with stage(via=via) as s, s.client() as client:
            await client.say(CONNECT % b"example.com:443" + filled(early, b"example.com"))
            head, _ = await client.response()
            assert head.startswith(b"HTTP/1.1 502 ")
            assert b"\r\nConnection: close" in head
            assert await client.rest() == b""
            assert b"evil" not in seen
            assert seen.startswith(b"CONNECT example.com:443 HTTP/1.1\r\n")
            assert seen.count(b"HTTP/1.1\r\n") == 1
            # And the next client's request goes over a stream of its own.
            async with s.client() as another:
                await another.say(CONNECT % b"example.net:443")
                await another.response()
            assert parent.accepted == 2


@pytest.mark.parametrize(
    "planted",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        b"evil",
        b"\r\n\r\n",
    ],
)
async def test_what_a_parent_plants_behind_a_refusal_answers_nobody(planted: bytes) -> None:
    seen = bytearray()
    answer = b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n" + planted
    async with origin(answering(answer, seen)) as parent:
        via = f"http://{parent.name.decode()}"
        async with stage(via=via) as s:
            for request in (CONNECT % b"example.com:443", CONNECT % b"example.com:443"):
                async with s.client() as client:
                    await client.say(request)
                    answered = await client.rest()
                    assert answered.startswith(b"HTTP/1.1 502 ")
                    assert b"evil" not in answered
            assert parent.accepted == 2


async def test_the_first_bytes_of_a_destination_come_after_the_2xx() -> None:
    """Some servers speak first, and uvloop hands their bytes over with the accept."""

    async def greets(visitor: RawClient) -> None:
        await visitor.say(b"220 hello\r\n")
        await visitor.rest()

    async with origin(greets) as there, stage() as s, s.client() as client:
        await client.say(CONNECT % there.name)
        client.finish()
        answer = await client.rest()
        assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n220 hello\r\n"
