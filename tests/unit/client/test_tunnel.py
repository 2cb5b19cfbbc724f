"""The tunnel to a profile's server: up, remembered, enrolled, refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.frontends.http.dialogue import origin
from tests.unit.test_tunnel_server import echo, house
from tests.unit.tunnel_client import invite_to
from underpass.address import Address
from underpass.carriers.methods import Methods
from underpass.client import profile
from underpass.client.tunnel import ClientTunnel, Passage
from underpass.client_options import ClientOptions, Through
from underpass.errors import ConfigurationError
from underpass.protocol.invite import Invite
from underpass.tunnel.greeting import HandshakeRefused
from underpass.tunnel.keeper import TunnelDown, TunnelUp

SECONDS = 10.0


def passage(tmp_path: Path, carrier: str = "auto", methods: str = "GET,POST") -> Passage:
    return Passage(
        via=Through(),
        carrier=carrier,
        methods=Methods.parse(methods),
        authorities=None,
        state=tmp_path / "client",
    )


async def test_it_enrols_once_and_comes_again(tmp_path: Path) -> None:
    async with asyncio.timeout(SECONDS), house(tmp_path / "server") as server, origin(echo) as at:
        invite = invite_to(tmp_path / "server", server.url)
        joined = profile.join(invite, tmp_path / "work.toml")
        where = Address("127.0.0.1", at.port)
        told: list[TunnelUp | TunnelDown] = []
        for _ in range(2):
            read = profile.load(joined.path)
            async with ClientTunnel(read, passage(tmp_path), told.append) as tunnel:
                await tunnel.up()
                stream = await tunnel.open(where)
                await stream.send(b"ping")
                assert await stream.receive() == b"ping"
                await stream.close()
                assert tunnel.profile.code == b""
            assert profile.load(joined.path).code == b""
        assert [type(event) for event in told] == [TunnelUp, TunnelUp]


async def test_what_worked_is_tried_first_the_next_time(tmp_path: Path) -> None:
    async with asyncio.timeout(SECONDS), house(tmp_path / "server") as server:
        joined = profile.join(invite_to(tmp_path / "server", server.url), tmp_path / "work.toml")
        async with ClientTunnel(joined, passage(tmp_path, "poll")) as tunnel:
            await tunnel.up()
        async with ClientTunnel(joined, passage(tmp_path)) as tunnel:
            await tunnel.up()
            assert tunnel.keeper.carrier == "poll, direct"


async def test_a_refusal_is_raised_and_told(tmp_path: Path) -> None:
    async with asyncio.timeout(SECONDS), house(tmp_path / "server") as server:
        joined = profile.join(invite_to(tmp_path / "server", server.url), tmp_path / "work.toml")
        server.store.remove("alice")
        async with ClientTunnel(joined, passage(tmp_path)) as tunnel:
            with pytest.raises(HandshakeRefused):
                await tunnel.up()
            assert isinstance(await tunnel.refused(), HandshakeRefused)
            with pytest.raises(HandshakeRefused):
                tunnel.raise_refused()


async def test_a_kind_without_its_methods_stops_the_start(tmp_path: Path) -> None:
    async with house(tmp_path / "server") as server:
        joined = profile.join(invite_to(tmp_path / "server", server.url), tmp_path / "work.toml")
        with pytest.raises(ConfigurationError, match="carrier: stream needs other methods"):
            async with ClientTunnel(joined, passage(tmp_path, "stream", "POST")):
                pass


async def test_without_a_pin_nobody_could_tell_who_opens_tls(tmp_path: Path) -> None:
    joined = profile.join(Invite("https://a.example", b"k" * 32, "alice", b"c"), tmp_path / "a")
    with pytest.raises(ConfigurationError, match=r"opened_tls: .* pins no certificate"):
        async with ClientTunnel(joined, replace(passage(tmp_path), lets_open=False)):
            pass


def test_a_passage_is_what_the_options_say(tmp_path: Path) -> None:
    options = ClientOptions(state=tmp_path, carrier="poll", via=Through())
    made = Passage.of(options)
    assert (made.state, made.carrier, made.via) == (tmp_path, "poll", Through())
    assert made.lets_open
    assert not Passage.of(ClientOptions(opened_tls="refuse")).lets_open
