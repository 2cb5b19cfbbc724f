"""`underpass.connect`: a tunnel for a program, to a server in the same one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

import underpass
from tests.unit.frontends.http.dialogue import RawClient, answers, origin
from tests.unit.test_tunnel_server import echo, house
from tests.unit.tunnel_client import invite_to

SECONDS = 10.0
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def options(tmp_path: Path) -> underpass.ClientOptions:
    return underpass.ClientOptions(state=tmp_path / "client")


async def test_streams_pairs_and_the_proxy_lead_through_it(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(SECONDS),
        house(tmp_path / "server") as server,
        origin(echo) as where,
        origin(answers(PAGE)) as site,
    ):
        invite = invite_to(tmp_path / "server", server.url).format()
        async with underpass.connect(invite, via="none", options=options(tmp_path)) as tunnel:
            assert tunnel.carrier == "websocket, direct"
            assert 0 < tunnel.delay < 5
            stream = await tunnel.open("127.0.0.1", where.port)
            await stream.send(b"ping")
            assert await stream.receive() == b"ping"
            await stream.close()
            reader, writer = await tunnel.open_connection("127.0.0.1", where.port)
            writer.write(b"pong")
            assert await reader.readexactly(4) == b"pong"
            writer.close()
            await writer.wait_closed()
            async with httpx.AsyncClient(proxy=tunnel.proxy_url, trust_env=False) as client:
                answer = await client.get(f"http://{site.name.decode()}/")
                assert answer.text == "hello"
            # Without its password nobody gets in.
            bare = "http://" + tunnel.proxy_url.rpartition("@")[2]
            async with httpx.AsyncClient(proxy=bare, trust_env=False) as client:
                answer = await client.get(f"http://{site.name.decode()}/")
                assert answer.status_code == 407


async def test_a_refusal_is_the_far_ends(tmp_path: Path) -> None:
    async with asyncio.timeout(SECONDS), house(tmp_path / "server", allow=()) as server:
        invite = invite_to(tmp_path / "server", server.url).format()
        async with underpass.connect(invite, via="none", options=options(tmp_path)) as tunnel:
            with pytest.raises(underpass.DialError) as caught:
                await tunnel.open("127.0.0.1", 9)
            assert caught.value.failure is underpass.Failure.IP_PROHIBITED
            with pytest.raises(ValueError, match="port"):
                await tunnel.open("127.0.0.1", 0)


async def test_pairs_that_were_left_open_end_with_the_block(tmp_path: Path) -> None:
    async def held(visitor: RawClient) -> None:
        await visitor.rest()

    async with asyncio.timeout(SECONDS), house(tmp_path / "server") as server, origin(held) as one:
        invite = invite_to(tmp_path / "server", server.url).format()
        async with underpass.connect(invite, via="none", options=options(tmp_path)) as tunnel:
            reader, writer = await tunnel.open_connection("127.0.0.1", one.port)
        assert writer.is_closing()
        assert await reader.read() == b""


async def test_the_servers_no_is_raised_on_entry(tmp_path: Path) -> None:
    async with asyncio.timeout(SECONDS), house(tmp_path / "server") as server:
        invite = invite_to(tmp_path / "server", server.url)
        server.store.remove("alice")
        with pytest.raises(underpass.HandshakeRefused, match=r"no such code|not known"):
            async with underpass.connect(invite.format(), via="none", options=options(tmp_path)):
                pass


async def test_no_way_is_raised_on_entry_with_the_reasons(tmp_path: Path) -> None:
    async with house(tmp_path / "server") as server:
        invite = invite_to(tmp_path / "server", server.url).format()
    tunnel = underpass.connect(invite, via="none", options=options(tmp_path), timeout=0.3)
    async with asyncio.timeout(SECONDS):
        with pytest.raises(underpass.DialError, match=r"websocket, direct: .*refused") as caught:
            async with tunnel:
                pass
    assert caught.value.failure is underpass.Failure.TUNNEL_DOWN


def test_what_cannot_be_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(underpass.ConfigurationError, match="invite: not an invite"):
        underpass.connect("nonsense")
    with pytest.raises(underpass.ConfigurationError, match="via: "):
        underpass.connect("nonsense", via="ftp://x")
    with pytest.raises(underpass.ConfigurationError, match="there is no such profile"):
        underpass.connect(profile="absent", options=options(tmp_path))
