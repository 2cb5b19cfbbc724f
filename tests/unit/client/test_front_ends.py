"""The client's listeners on loopback, each kind over one dial."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.unit.frontends.http.dialogue import RawClient, answers, origin
from tests.unit.tunnel_client import dial
from underpass.address import Address, ListenAddress
from underpass.client.front_ends import FrontEnds, Listeners, Listening
from underpass.client.login import ClientLogin
from underpass.client_options import Forward
from underpass.errors import ConfigurationError
from underpass.observe import AccessRecord, Observer

HERE = ListenAddress("127.0.0.1", 0)
SECONDS = 5.0
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


async def visit(listening: Listening) -> RawClient:
    if listening.address.path is not None:
        return RawClient(*await asyncio.open_unix_connection(listening.address.path))
    return RawClient(*await asyncio.open_connection("127.0.0.1", listening.address.port))


async def hello(visitor: RawClient) -> None:
    await visitor.say(b"hello")
    await visitor.rest()


async def test_each_kind_leads_through_the_dial(tmp_path: Path) -> None:
    records: list[AccessRecord] = []
    async with asyncio.timeout(SECONDS), origin(hello) as there, origin(answers(PAGE)) as site:
        target = Address("127.0.0.1", there.port)
        unix = Forward(ListenAddress(None, 0, str(tmp_path / "x.sock")), target)
        listeners = Listeners((HERE,), (HERE,), (Forward(HERE, target), unix))
        async with FrontEnds(listeners, dial, Observer(sink=records.append)) as front_ends:
            socks, http, forward, by_path = front_ends.listening
            assert str(socks) == f"socks5://127.0.0.1:{socks.address.port}"
            assert str(http) == f"http://127.0.0.1:{http.address.port}"
            assert str(forward).startswith("forward://127.0.0.1:")
            assert str(forward).endswith(f" -> {target}")
            for listening in (forward, by_path):
                client = await visit(listening)
                assert await client.exactly(5) == b"hello"
                await client.close()
            client = await visit(socks)
            await client.say(b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01")
            await client.say(there.port.to_bytes(2, "big"))
            assert (await client.exactly(17))[-5:] == b"hello"
            await client.close()
            client = await visit(http)
            await client.say(b"GET http://%s/ HTTP/1.1\r\nHost: x\r\n\r\n" % site.name)
            assert (await client.response())[1] == b"hello"
            await client.close()
            await front_ends.drain(SECONDS)
            assert front_ends.client_count == 0
    assert sorted(record.method for record in records) == ["FORWARD", "FORWARD", "GET", "SOCKS"]


async def test_a_login_is_asked_for_by_both_kinds() -> None:
    listeners = Listeners((HERE,), (HERE,), login=ClientLogin("alice", "secret"))
    async with asyncio.timeout(SECONDS), FrontEnds(listeners, dial, Observer()) as front_ends:
        socks, http = front_ends.listening
        client = await visit(socks)
        await client.say(b"\x05\x01\x00")
        assert await client.rest() == b"\x05\xff"
        await client.close()
        client = await visit(http)
        await client.say(b"GET http://127.0.0.1:9/ HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.head()).startswith(b"HTTP/1.1 407 ")
        await client.close()


async def test_leaving_ends_every_client() -> None:
    async with asyncio.timeout(SECONDS), origin(hello) as there:
        listeners = Listeners(forward=(Forward(HERE, Address("127.0.0.1", there.port)),))
        async with FrontEnds(listeners, dial, Observer()) as front_ends:
            client = await visit(front_ends.listening[0])
            assert await client.exactly(5) == b"hello"
            assert front_ends.client_count == 1
            await front_ends.drain(0.01)
        with pytest.raises(ConnectionResetError):
            await client.rest()
        await client.close()


async def test_where_one_cannot_listen_none_does() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        listeners = Listeners((HERE,), (ListenAddress("127.0.0.1", port),))
        with pytest.raises(ConfigurationError, match=f"can't listen on 127.0.0.1:{port}"):
            async with FrontEnds(listeners, dial, Observer()):
                pass
