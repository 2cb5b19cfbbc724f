"""The client's listeners on loopback, each kind over one dial."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
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


async def says(word: bytes, visitor: RawClient) -> None:
    await visitor.say(word)
    await visitor.rest()


async def heard(listening: Listening) -> bytes:
    client = await visit(listening)
    word = await client.exactly(5)
    await client.close()
    return word


async def test_other_listeners_take_the_place_of_those_before(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(SECONDS),
        origin(partial(says, b"first")) as one,
        origin(partial(says, b"other")) as other,
    ):
        first, second = (Address("127.0.0.1", there.port) for there in (one, other))
        unix = ListenAddress(None, 0, str(tmp_path / "x.sock"))
        before = Listeners((HERE,), forward=(Forward(HERE, first), Forward(unix, first)))
        async with FrontEnds(before, dial, Observer()) as front_ends:
            socks, forward, by_path = front_ends.listening
            stays = await visit(forward)
            assert await stays.exactly(5) == b"first"
            # SOCKS is left alone, the socket leads elsewhere, the rest is new.
            after = Listeners((HERE,), (HERE,), (Forward(unix, second), Forward(HERE, second)))
            front_ends.replace(after)
            now = front_ends.listening
            assert [one.scheme for one in now] == ["socks5", "http", "forward", "forward"]
            assert socks in now
            by_path, again = now[2:]
            assert by_path.address == unix
            assert await heard(by_path) == b"other"
            assert await heard(again) == b"other"
            # Who was there before goes on.
            assert not stays.reader.at_eof()
            front_ends.replace(Listeners((HERE,)))
            assert front_ends.listening == (socks,)
            assert not (tmp_path / "x.sock").exists()
            with pytest.raises(ConnectionRefusedError):
                await visit(again)
            await stays.close()


async def test_a_listener_that_can_not_be_had_changes_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        target = Address("127.0.0.1", 9)
        async with FrontEnds(Listeners((HERE,)), dial, Observer()) as front_ends:
            before = front_ends.listening
            wanted = (Forward(HERE, target), Forward(ListenAddress("127.0.0.1", port), target))
            with pytest.raises(ConfigurationError, match=str(port)):
                front_ends.replace(Listeners(forward=wanted))
            assert front_ends.listening == before
            client = await visit(before[0])
            await client.say(b"\x05\x01\x00")
            assert await client.exactly(2) == b"\x05\x00"
            await client.close()


async def test_another_login_holds_from_the_next_client_on() -> None:
    async with FrontEnds(Listeners((HERE,), (HERE,)), dial, Observer()) as front_ends:
        listening = front_ends.listening
        front_ends.replace(Listeners((HERE,), (HERE,), login=ClientLogin("alice", "secret")))
        assert front_ends.listening == listening
        client = await visit(listening[0])
        await client.say(b"\x05\x01\x00")
        assert await client.rest() == b"\x05\xff"
        await client.close()
        client = await visit(listening[1])
        await client.say(b"GET http://127.0.0.1:9/ HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.head()).startswith(b"HTTP/1.1 407 ")
        await client.close()
