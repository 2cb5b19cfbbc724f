"""The tunnel to a profile's server: up, remembered, enrolled, refused."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.frontends.http.dialogue import origin
from tests.unit.test_tunnel_server import echo, house
from tests.unit.tunnel_client import invite_to
from underpass.address import Address
from underpass.carriers.methods import Methods
from underpass.carriers.server_url import ServerUrl
from underpass.client import network, profile
from underpass.client.profile import Profile
from underpass.client.tunnel import ClientTunnel, Passage
from underpass.client_options import ClientOptions, Through
from underpass.errors import ConfigurationError
from underpass.protocol.invite import Invite
from underpass.testing.middlebox import Behaviour, Middlebox
from underpass.testing.middlebox.behaviour import ALL_METHODS
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


@contextlib.asynccontextmanager
async def refusing(tmp_path: Path, *methods: str) -> AsyncIterator[tuple[Profile, Middlebox]]:
    """A profile whose server stands behind a box that lets no `methods` through."""
    async with asyncio.timeout(SECONDS), house(tmp_path / "server") as server:
        behaviour = Behaviour(methods=ALL_METHODS - {*methods})
        where = ServerUrl.parse(server.url).address
        async with Middlebox(behaviour, where) as box:
            invite = invite_to(tmp_path / "server", f"http://{box.address}")
            yield profile.join(invite, tmp_path / "work.toml"), box


async def asked(joined: Profile, through: Passage, box: Middlebox) -> set[bytes]:
    """The methods that a client asks with, from its start to its end."""
    box.record.heads.clear()
    async with ClientTunnel(joined, through) as tunnel:
        await tunnel.up()
    return {head.method for head in box.record.heads}


@pytest.mark.parametrize("refused", [("PUT", "DELETE"), ("DELETE",)], ids=["both", "DELETE"])
async def test_what_was_refused_is_not_tried_the_next_time(
    tmp_path: Path, refused: tuple[str, ...]
) -> None:
    through = passage(tmp_path, "poll", "GET,POST,PUT,DELETE")
    names = {method.encode() for method in refused}
    async with refusing(tmp_path, *refused) as (joined, box):
        assert await asked(joined, through, box) & names == {refused[0].encode()}
        # Not forgotten by who did not have to learn it.
        for _ in range(2):
            again = await asked(profile.load(joined.path), through, box)
            assert not again & names
            assert b"POST" in again


async def test_another_network_may_let_it_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    through = passage(tmp_path, "poll", "GET,POST,PUT,DELETE")
    async with refusing(tmp_path, "PUT", "DELETE") as (joined, box):
        await asked(joined, through, box)
        monkeypatch.setattr(network, "local_network", lambda: "203.0.113.0/24")
        assert b"PUT" in await asked(profile.load(joined.path), through, box)


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


@pytest.mark.parametrize("carrier", ["websocket", "stream", "poll", "get"])
async def test_why_the_server_ends_a_session_is_said_once(
    tmp_path: Path, carrier: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with asyncio.timeout(SECONDS), house(tmp_path / "server") as server:
        joined = profile.join(invite_to(tmp_path / "server", server.url), tmp_path / "work.toml")
        async with ClientTunnel(joined, passage(tmp_path, carrier)) as tunnel:
            await tunnel.up()
            server.store.remove("alice")
            refused = await tunnel.refused()
        assert refused.reason == "this client is not known here, or not any more"
        said = [one.getMessage() for one in caplog.records if one.name.endswith("client.tunnel")]
        assert said == ["the session has ended, and its streams are reset: the user was removed"]


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
