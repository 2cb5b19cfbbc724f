"""`TunnelServer` as an object: clients come in over HTTP, strangers not, and it ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from tests.unit.frontends.http.dialogue import LOOPBACK, RawClient, origin
from tests.unit.tunnel_client import KINDS, invite_to, tunnel_to
from underpass.access import Effect, Rule
from underpass.address import Address, ListenAddress
from underpass.errors import ConfigurationError, DialError, Failure, StreamReset
from underpass.net.stream import Stream
from underpass.observe import AccessRecord, Counter, Counters, Observer
from underpass.server.certificate import own_pin, pin_of
from underpass.server.user_store import SqliteUserStore, User, UserLimits
from underpass.server_options import ServerLimits, ServerOptions
from underpass.tunnel.keeper import Keeper
from underpass.tunnel_server import ServerParts, TunnelServer

HERE = (ListenAddress("127.0.0.1", 0),)
SECONDS = 10.0


class House:
    """A server, its state, and what it has said."""

    def __init__(self, directory: Path, options: ServerOptions) -> None:
        self.directory = directory
        self.options = options
        self.records: list[AccessRecord] = []
        self.counters = Counters()
        observer = Observer(self.counters, self.records.append)
        self.server = TunnelServer(options, ServerParts(observer=observer))
        self.store = SqliteUserStore(directory)

    @property
    def url(self) -> str:
        return self.server.urls[0]

    async def record(self) -> AccessRecord:
        """The first access record, waited for."""
        async with asyncio.timeout(SECONDS):
            while not self.records:
                await asyncio.sleep(0.001)
        return self.records[0]


@contextlib.asynccontextmanager
async def house(
    directory: Path,
    *,
    allow: tuple[Rule, ...] = LOOPBACK,
    deny: tuple[Rule, ...] = (),
    prefix: str = "",
    proxy: bool = False,
    limits: ServerLimits = ServerLimits(drain_timeout=0),  # noqa: B008 - immutable
) -> AsyncIterator[House]:
    options = ServerOptions(
        listen=HERE,
        state=directory,
        allow=allow,
        deny=deny,
        prefix=prefix,
        proxy=proxy,
        limits=limits,
    )
    it = House(directory, options)
    async with it.server:
        yield it


async def echo(visitor: RawClient) -> None:
    await visitor.say(await visitor.exactly(4))
    await visitor.rest()


async def silent(visitor: RawClient) -> None:
    await visitor.rest()


def address(name: bytes) -> Address:
    return Address.parse(name.decode("ascii"))


@contextlib.asynccontextmanager
async def tunnelled(it: House) -> AsyncIterator[Keeper]:
    """A tunnel of a client that is new."""
    async with tunnel_to(invite_to(it.directory, it.url)) as tunnel:
        yield tunnel


async def ping(stream: Stream) -> bytes:
    await stream.send(b"ping")
    return await stream.receive()


# --- coming in


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prefix", ["", "/files/a"])
async def test_an_invite_is_all_that_a_client_needs(kind: str, prefix: str, tmp_path: Path) -> None:
    async with house(tmp_path, prefix=prefix) as it, origin(echo) as there:
        invite = invite_to(tmp_path, it.url)
        assert invite.url.endswith(prefix)
        async with tunnel_to(invite, kind) as tunnel:
            stream = await tunnel.open(address(there.name))
            assert await ping(stream) == b"ping"
            await stream.close()
            record = await it.record()
    assert (record.user, record.client, record.method) == ("alice", "127.0.0.1", "TUNNEL")
    assert (record.address, record.status, record.reason) == (there.name.decode(), 200, "ok")
    assert (record.sent, record.received) == (4, 4)
    assert it.counters.value(Counter.SESSIONS_BEGUN) == 1
    assert it.counters.value(Counter.SESSIONS_OPEN) == 0
    assert it.counters.value(Counter.TUNNELS_OPEN) == 0


async def test_strangers_find_a_web_site_without_pages(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        reader, writer = await asyncio.open_connection("127.0.0.1", it.server.addresses[0].port)
        client = RawClient(reader, writer)
        await client.say(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.head()).startswith(b"HTTP/1.1 404 Not Found\r\n")
        await client.close()


# --- what may be opened


async def test_the_reason_of_a_refusal_reaches_the_client(tmp_path: Path) -> None:
    deny = (Rule.parse(Effect.DENY, "192.0.2.1"),)
    async with house(tmp_path, deny=deny) as it, tunnelled(it) as tunnel:
        with pytest.raises(DialError, match=r"192\.0\.2\.1") as caught:
            await tunnel.open(Address("192.0.2.1", 80))
        assert caught.value.failure is Failure.FORBIDDEN
        record = await it.record()
        assert (record.status, record.address) == (403, "192.0.2.1:80")


async def test_the_server_is_no_destination_of_its_own(tmp_path: Path) -> None:
    async with house(tmp_path) as it, tunnelled(it) as tunnel:
        with pytest.raises(DialError) as caught:
            await tunnel.open(Address("127.0.0.1", it.server.addresses[0].port))
        assert caught.value.failure is Failure.LOOP


async def test_the_rules_of_a_user_hold_from_the_next_open_on(tmp_path: Path) -> None:
    async with house(tmp_path) as it, origin(echo) as there, tunnelled(it) as tunnel:
        before = await tunnel.open(address(there.name))
        it.store.set_rules("alice", (Rule.parse(Effect.DENY, "127.0.0.1"),))
        with pytest.raises(DialError) as caught:
            await tunnel.open(address(there.name))
        assert caught.value.failure is Failure.FORBIDDEN
        assert await ping(before) == b"ping"
        await before.close()


async def test_a_reload_changes_rules_and_limits(tmp_path: Path) -> None:
    async with house(tmp_path, allow=()) as it, origin(echo) as there, tunnelled(it) as tunnel:
        with pytest.raises(DialError):
            await tunnel.open(address(there.name))
        options = ServerOptions(
            listen=HERE, state=tmp_path, allow=LOOPBACK, prefix="/x", limits=it.options.limits
        )
        assert it.server.reload(options) == ["prefix"]
        stream = await tunnel.open(address(there.name))
        assert await ping(stream) == b"ping"
        await stream.close()


async def test_a_user_has_so_many_streams(tmp_path: Path) -> None:
    async with house(tmp_path) as it, origin(silent) as there:
        invite = invite_to(tmp_path, it.url)
        it.store.set_limits("alice", UserLimits(streams=1))
        async with tunnel_to(invite) as tunnel:
            first = await tunnel.open(address(there.name))
            with pytest.raises(DialError) as caught:
                await tunnel.open(address(there.name))
            assert caught.value.failure is Failure.CONNECTION_LIMIT
            first.abort()
            await it.record()


# --- ends


@pytest.mark.slow
async def test_a_removed_user_loses_the_tunnel(tmp_path: Path) -> None:
    async with house(tmp_path) as it, origin(silent) as there:
        with pytest.raises(BaseExceptionGroup) as ended:  # noqa: PT012 - the client's own end
            async with tunnelled(it) as tunnel:
                stream = await tunnel.open(address(there.name))
                it.store.remove("alice")
                with pytest.raises(StreamReset):
                    await stream.receive()
                await asyncio.sleep(SECONDS)
        assert "not known here" in str(ended.value.exceptions)
        assert it.server.session_count == 0


async def test_draining_lets_streams_end_and_takes_no_new_ones(tmp_path: Path) -> None:
    limits = ServerLimits(drain_timeout=SECONDS)
    async with (
        house(tmp_path, limits=limits) as it,
        origin(echo) as there,
        tunnelled(it) as tunnel,
        asyncio.TaskGroup() as tasks,
    ):
        stream = await tunnel.open(address(there.name))
        it.server.stop_accepting()
        drained = tasks.create_task(it.server.drain(SECONDS))
        with pytest.raises(DialError) as caught:
            await tunnel.open(address(there.name))
        assert caught.value.failure is Failure.DRAINING
        assert await ping(stream) == b"ping"
        assert not drained.done()
        await stream.close()


async def test_leaving_the_block_resets_what_is_left(tmp_path: Path) -> None:
    async with origin(silent) as there, contextlib.AsyncExitStack() as stack:
        async with house(tmp_path) as it:
            tunnel = await stack.enter_async_context(tunnel_to(invite_to(tmp_path, it.url)))
            stream = await tunnel.open(address(there.name))
        with pytest.raises(StreamReset):
            await stream.receive()


async def test_strangers_find_the_site_that_stands_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("home")
    limits = ServerLimits(drain_timeout=0)
    options = ServerOptions(
        listen=HERE, state=tmp_path / "s", decoy=tmp_path / "site", limits=limits
    )
    async with TunnelServer(options) as folder:
        url = f"http://127.0.0.1:{folder.addresses[0].port}"
        options = ServerOptions(listen=HERE, state=tmp_path / "t", decoy=url, limits=limits)
        async with TunnelServer(options) as site:
            for server in (folder, site):
                port = server.addresses[0].port
                client = RawClient(*await asyncio.open_connection("127.0.0.1", port))
                await client.say(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                head = await client.head()
                assert head.startswith(b"HTTP/1.1 200 OK\r\n")
                assert b"Content-Type: text/html\r\n" in head
                assert await client.exactly(4) == b"home"
                await client.close()


# --- a proxy beside it


@contextlib.asynccontextmanager
async def visiting(it: House) -> AsyncIterator[RawClient]:
    port = it.server.addresses[0].port
    client = RawClient(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield client
    finally:
        await client.close()


def connect(name: bytes, token: str = "") -> bytes:
    login = f"Proxy-Authorization: Bearer {token}\r\n".encode() if token else b""
    return b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (name, name, login)


async def test_users_with_a_token_may_use_it_as_a_proxy(tmp_path: Path) -> None:
    async with house(tmp_path, proxy=True) as it, origin(echo) as there:
        it.store.add(User("bob"))
        token = it.store.issue_token("bob")
        async with visiting(it) as client:
            await client.say(connect(there.name, token))
            assert (await client.head()).startswith(b"HTTP/1.1 200 ")
            await client.say(b"ping")
            assert await client.exactly(4) == b"ping"
        async with visiting(it) as client:
            await client.say(connect(there.name))
            assert (await client.head()).startswith(b"HTTP/1.1 407 ")
        async with visiting(it) as client:
            await client.say(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await client.head()).startswith(b"HTTP/1.1 404 ")
        async with tunnelled(it) as tunnel:
            stream = await tunnel.open(address(there.name))
            assert await ping(stream) == b"ping"
            await stream.close()


async def test_without_being_asked_it_is_no_proxy(tmp_path: Path) -> None:
    async with house(tmp_path) as it, origin(echo) as there:
        it.store.add(User("bob"))
        token = it.store.issue_token("bob")
        async with visiting(it) as client:
            await client.say(connect(there.name, token))
            assert (await client.head()).startswith(b"HTTP/1.1 404 ")
        assert there.accepted == 0


async def test_draining_waits_for_the_proxys_tunnels_too(tmp_path: Path) -> None:
    limits = ServerLimits(drain_timeout=SECONDS)
    async with house(tmp_path, proxy=True, limits=limits) as it, origin(echo) as there:
        it.store.add(User("bob"))
        token = it.store.issue_token("bob")
        async with visiting(it) as client, asyncio.TaskGroup() as tasks:
            await client.say(connect(there.name, token))
            await client.head()
            it.server.stop_accepting()
            drained = tasks.create_task(it.server.drain(SECONDS))
            await client.say(b"ping")
            assert await client.exactly(4) == b"ping"
            assert not drained.done()
            await client.close()


# --- TLS


async def test_a_certificate_of_its_own_is_what_the_invite_pins(tmp_path: Path) -> None:
    options = ServerOptions(
        listen=HERE, state=tmp_path, tls_self=True, limits=ServerLimits(drain_timeout=0)
    )
    async with TunnelServer(options) as server:
        assert server.urls[0].startswith("https://")
        context = ssl.create_default_context(cadata=(tmp_path / "tls-self.pem").read_text())
        port = server.addresses[0].port
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="localhost"
        )
        client = RawClient(reader, writer)
        await client.say(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.head()).startswith(b"HTTP/1.1 404 ")
        await client.close()
        invite = invite_to(tmp_path, server.urls[0])
        assert invite.pin == own_pin(tmp_path) == pin_of(tmp_path / "tls-self.pem")
        assert invite.server_key == server.public_key
        with pytest.raises(ConfigurationError, match="without a restart"):
            server.reload(ServerOptions(listen=HERE, state=tmp_path))
        assert server.reload(options) == []


async def test_an_address_in_use_stops_the_start_and_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as it:
        taken = it.server.addresses[0]
        options = ServerOptions(listen=(*HERE, taken), state=tmp_path)
        with pytest.raises(ConfigurationError, match="can't listen"):
            async with TunnelServer(options):
                pass


async def test_a_reload_takes_another_certificate(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def issue(name: str) -> None:
        issued = authority.issue_cert(name)
        issued.cert_chain_pems[0].write_to_path(certificate)
        issued.private_key_pem.write_to_path(key)

    def options() -> ServerOptions:
        return ServerOptions(
            listen=HERE,
            state=tmp_path / "state",
            tls_cert=certificate,
            tls_key=key,
            limits=ServerLimits(drain_timeout=0),
        )

    context = ssl.create_default_context()
    authority.configure_trust(context)
    issue("old.example")
    async with TunnelServer(options()) as server:
        for name in ("old.example", "new.example"):
            issue(name)
            assert server.reload(options()) == []
            _, writer = await asyncio.open_connection(
                "127.0.0.1", server.addresses[0].port, ssl=context, server_hostname=name
            )
            writer.close()
            await writer.wait_closed()
        key.write_text("nonsense")
        with pytest.raises(ConfigurationError, match="tls_key"):
            server.reload(options())
