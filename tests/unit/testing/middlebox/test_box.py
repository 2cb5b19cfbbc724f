"""The box as a whole: where it listens, its limits on streams, and what it keeps."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from tests.origins import Authority
from tests.unit.frontends.http.dialogue import RawClient, answers
from tests.unit.testing.middlebox.dialogue import OK, status, walk
from underpass.address import Address
from underpass.testing.middlebox import Behaviour, Middlebox


async def test_keeps_heads_and_bytes_in_the_clear() -> None:
    async with walk(Behaviour(), answers(OK)) as it:
        await it.ask(it.request("POST", b"secret"))
        assert [head.method for head in it.box.record.heads] == [b"POST"]
        assert b"secret" in it.box.record.seen
        assert b"hello" in it.box.record.seen
        assert it.box.url == f"http://{it.box.address}"


async def test_behaves_otherwise_from_the_next_request_on() -> None:
    async with walk(Behaviour(), answers(OK)) as it, it.client() as client:
        await client.say(it.request())
        assert status((await client.response())[0]) == 200
        it.box.behaviour = Behaviour(forward=False)
        assert not it.box.behaviour.forward
        await client.say(it.request())
        assert status((await client.response())[0]) == 403


@pytest.mark.parametrize("behaviour", [Behaviour(idle_limit=0.05), Behaviour(life_limit=0.05)])
async def test_cuts_what_is_idle_or_old(behaviour: Behaviour) -> None:
    async with walk(behaviour, answers()) as it, it.client() as client:
        with pytest.raises(ConnectionError):
            await client.rest()
        assert it.box.record.resets == 1


async def test_cuts_everything_when_told() -> None:
    async with walk(Behaviour(), answers()) as it, it.client() as client:
        await client.say(b"GET ")
        await asyncio.sleep(0.01)
        it.box.cut_all()
        with pytest.raises(ConnectionError):
            await client.rest()


async def test_resets_at_a_byte_that_the_seed_decides() -> None:
    async def much(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + bytes(400_000))

    async with walk(Behaviour(reset_chance=1), much) as it, it.client() as client:
        await client.say(it.request())
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await client.response()


@pytest.mark.slow
async def test_ends_although_something_is_to_be_done_later() -> None:
    async with walk(Behaviour(replay_after=3600), answers(OK)) as it:
        await it.ask(it.request("POST", b"a"))
    assert it.box.record.repeated == 0


async def test_delay_and_rate_take_their_time() -> None:
    now = asyncio.get_running_loop().time
    async with walk(Behaviour(delay=0.03, rate=1_000_000), answers(OK)) as it:
        started = now()
        await it.ask(it.request())
        assert now() - started >= 0.06


# --- TLS


@pytest.mark.slow
@pytest.mark.parametrize("is_inline", [True, False])
async def test_opens_tls_and_reads(
    is_inline: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    authority = Authority.create(tmp_path_factory.mktemp("authority"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=authority.server_context())
    port = server.sockets[0].getsockname()[1]
    inside = Address("127.0.0.1", port) if is_inline else None
    async with Middlebox(Behaviour(opens_tls=True), inside) as box:
        context = ssl.create_default_context(cadata=box.authority.decode())
        reader, writer = await asyncio.open_connection(
            box.address.host, box.address.port, ssl=context if is_inline else None
        )
        client = RawClient(reader, writer)
        if not is_inline:
            await client.say(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: a\r\n\r\n" % port)
            assert status(await client.head()) == 200
            await writer.start_tls(context, server_hostname="127.0.0.1")
        await client.say(b"GET /within HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await client.response() != (b"", b"")
        assert b"GET /within" in box.record.seen
        assert b"hello" in box.record.seen
        await client.close()
    server.close()
