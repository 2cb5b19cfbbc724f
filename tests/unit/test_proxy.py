"""`Proxy` as an object: started, asked, reloaded and ended inside this program."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from tests.unit.frontends.http.dialogue import (
    LOOPBACK,
    RawClient,
    field_of,
    origin,
    stage,
)
from underpass import ListenAddress, Parts, Proxy, ProxyOptions
from underpass.access import Effect, Policy, Principal, Rule
from underpass.errors import ConfigurationError
from underpass.net.listen import bind
from underpass.observe import Counter, Counters, Histogram, Observer
from underpass.options import Limits
from underpass.outbound.via import Via
from underpass.protocol.http.credentials import Basic, Bearer
from underpass.server.passwords import hash_password
from underpass.server.user_store import SqliteUserStore, User

HERE = (ListenAddress("127.0.0.1", 0),)
NOW = Limits(drain_timeout=0)


async def echo(visitor: RawClient) -> None:
    await visitor.say(await visitor.exactly(4))


def connect(name: bytes) -> bytes:
    return b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (name, name)


async def until(value: Counter, counters: Counters, expected: int) -> None:
    async with asyncio.timeout(5):
        while counters.value(value) != expected:
            await asyncio.sleep(0.001)


async def visit(proxy: Proxy) -> RawClient:
    return RawClient(*await asyncio.open_connection("127.0.0.1", proxy.addresses[0].port))


# --- what is counted


async def test_clients_are_counted_as_they_come_and_go() -> None:
    async with stage() as s:
        async with s.client(), s.client():
            await until(Counter.CONNECTIONS_OPEN, s.counters, 2)
        await until(Counter.CONNECTIONS_OPEN, s.counters, 0)
        assert s.counters.value(Counter.CONNECTIONS_ACCEPTED) == 2
        assert s.counters.value(Counter.CONNECTIONS_SHED) == 0


async def test_clients_over_a_limit_are_counted() -> None:
    async with stage(limits=Limits(max_connections=1, drain_timeout=0)) as s:
        async with s.client():
            await until(Counter.CONNECTIONS_OPEN, s.counters, 1)
            async with s.client() as second:
                assert (await second.rest()).startswith(b"HTTP/1.1 503 ")
        assert s.counters.value(Counter.CONNECTIONS_SHED) == 1
        assert s.counters.value(Counter.CONNECTIONS_ACCEPTED) == 1


async def test_a_client_that_makes_room_is_counted_as_shed() -> None:
    async with (
        stage(limits=Limits(max_unauthenticated=1, drain_timeout=0)) as s,
        s.client() as first,
    ):
        await until(Counter.CONNECTIONS_OPEN, s.counters, 1)
        async with s.client():
            with pytest.raises(ConnectionResetError):
                await first.rest()
        assert s.counters.value(Counter.CONNECTIONS_SHED) == 1


async def test_dials_are_counted_and_timed() -> None:
    async with origin(echo) as there, stage() as s, s.client() as client:
        await client.say(connect(there.name))
        assert (await client.head()).startswith(b"HTTP/1.1 200 ")
        assert s.counters.value(Counter.TUNNELS_OPEN) == 1
        assert s.counters.value(Counter.DIALS) == 1
        assert s.counters.value(Counter.DIAL_FAILURES) == 0
        timings = s.counters.snapshot().timings[Histogram.DIAL_SECONDS]
        assert sum(timings.buckets) == 1
        assert 0 < timings.seconds < 5


async def test_dials_that_fail_are_counted_and_those_that_policy_forbids_are_none() -> None:
    async with origin(echo) as there:
        gone = there.name
    async with stage() as s:
        for name, status in ((gone, b"502"), (b"10.0.0.1:443", b"403")):
            async with s.client() as client:
                await client.say(connect(name))
                assert (await client.response())[0].startswith(b"HTTP/1.1 " + status)
        assert s.counters.value(Counter.DIALS) == 1
        assert s.counters.value(Counter.DIAL_FAILURES) == 1
        assert sum(s.counters.snapshot().timings[Histogram.DIAL_SECONDS].buckets) == 0


class OutOfFiles(socket.socket):
    """A listening socket whose accept says once that the process is out of files."""

    failures = 1

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "too many open files")
        return super().accept()


async def test_pauses_of_accepting_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("underpass.net.listen.ACCEPT_REST", 0.01)
    [bound] = bind(HERE[0])
    sock = OutOfFiles(bound.family, bound.type, fileno=bound.detach())
    counters = Counters()
    parts = Parts(observer=Observer(counters), sockets=[sock])
    async with Proxy(ProxyOptions(limits=NOW), parts) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.addresses[0].port)
        writer.write(b"OPTIONS * HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()
        await writer.wait_closed()
        assert counters.value(Counter.ACCEPT_PAUSES) == 1


# --- its own listeners


async def test_its_own_listener_is_no_destination() -> None:
    async with stage() as s, s.client() as client:
        await client.say(connect(b"127.0.0.1:%d" % s.port))
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert b"proxy_loop_detected" in (field_of(head, b"proxy-status") or b"")
        assert s.counters.value(Counter.DIALS) == 0


async def test_a_listener_beside_it_is_no_destination_after_a_reload_too() -> None:
    async with origin(echo) as there, stage() as s:
        unix = ListenAddress(None, 0, "/run/beside")
        s.proxy.protect((ListenAddress("127.0.0.1", there.port), unix))
        for _ in range(2):
            for request in (
                connect(there.name),
                b"GET http://%s/metrics HTTP/1.1\r\nHost: h\r\n\r\n" % there.name,
            ):
                async with s.client() as client:
                    await client.say(request)
                    head, _ = await client.response()
                    assert b"proxy_loop_detected" in (field_of(head, b"proxy-status") or b"")
            s.proxy.reload(ProxyOptions(listen=HERE, allow=LOOPBACK, limits=NOW))
        assert there.accepted == 0


# --- its parts


class Doorkeeper:
    """Knows one user by one token."""

    binds_connection = False
    challenges = (b"Bearer",)

    async def authenticate(self, credentials: Basic | Bearer, client: str) -> Principal | None:
        known = isinstance(credentials, Bearer) and credentials.token == "t0ken"
        return Principal("robot") if known else None


async def test_a_program_brings_its_own_policy_and_users() -> None:
    policy = Policy((Rule.parse(Effect.ALLOW, "127.0.0.1"),))
    parts = Parts(policy=policy, authenticator=Doorkeeper())
    async with origin(echo) as there, Proxy(ProxyOptions(listen=HERE, limits=NOW), parts) as proxy:
        for token, status in ((b"t0ken", b"200"), (b"other", b"407")):
            client = await visit(proxy)
            await client.say(
                connect(there.name)[:-2] + b"Proxy-Authorization: Bearer %s\r\n\r\n" % token
            )
            assert (await client.head()).startswith(b"HTTP/1.1 " + status)
            await client.close()


async def test_users_of_the_store_are_let_in(tmp_path: Path) -> None:
    SqliteUserStore(tmp_path).add(User("bob", hash_password("sesame", 2), LOOPBACK))
    options = ProxyOptions(listen=HERE, auth="basic", state=tmp_path, limits=NOW)
    async with origin(echo) as there, Proxy(options) as proxy:
        client = await visit(proxy)
        # bob:sesame
        field = b"Proxy-Authorization: Basic Ym9iOnNlc2FtZQ==\r\n\r\n"
        await client.say(connect(there.name)[:-2] + field)
        assert (await client.head()).startswith(b"HTTP/1.1 200 ")
        await client.close()


async def test_urls_name_the_addresses_bound() -> None:
    async with Proxy(ProxyOptions(listen=HERE * 2)) as proxy:
        first, second = proxy.addresses
        assert first.port != second.port != 0
        assert proxy.urls == (f"http://{first}", f"http://{second}")


async def test_an_address_in_use_frees_those_already_bound() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        [first] = bind(HERE[0])
        free = first.getsockname()[1]
        first.close()
        taken = ListenAddress("127.0.0.1", other.getsockname()[1])
        options = ProxyOptions(listen=(ListenAddress("127.0.0.1", free), taken))
        with pytest.raises(ConfigurationError, match="in use"):
            await Proxy(options).__aenter__()
        socket.create_server(("127.0.0.1", free)).close()


# --- its end


async def test_leaving_the_block_waits_for_what_is_under_way() -> None:
    async with origin(echo) as there:
        async with Proxy(ProxyOptions(listen=HERE, allow=LOOPBACK)) as proxy:
            client = await visit(proxy)
            await client.say(connect(there.name))
            await client.head()
            loop = asyncio.get_running_loop()
            loop.call_later(0.05, client.writer.write, b"ping")
            loop.call_later(0.05, client.finish)
        assert await client.rest() == b"ping"
        await client.close()


async def test_leaving_the_block_with_an_error_ends_every_client_at_once() -> None:
    proxy = Proxy(ProxyOptions(listen=HERE))
    await proxy.__aenter__()
    client = await visit(proxy)
    await client.say(b"OPTIONS * HTTP/1.1\r\nHost: p\r\n\r\n")
    await client.response()
    await proxy.__aexit__(LookupError, LookupError(), None)
    with pytest.raises(ConnectionResetError):
        await client.rest()
    await client.close()


# --- its reload


async def test_a_reload_changes_policy_for_the_next_request() -> None:
    async with origin(echo) as there, stage() as s, s.client() as before:
        await before.say(connect(there.name))
        assert (await before.head()).startswith(b"HTTP/1.1 200 ")
        assert s.proxy.reload(ProxyOptions(listen=s.proxy.addresses, limits=NOW)) == ["listen"]
        async with s.client() as after:
            await after.say(connect(there.name))
            assert (await after.head()).startswith(b"HTTP/1.1 403 ")
        # A tunnel that is open stays.
        await before.say(b"ping")
        assert await before.rest() == b"ping"


async def test_a_reload_can_go_out_through_another_proxy() -> None:
    async def parent(visitor: RawClient) -> None:
        assert (await visitor.head()).startswith(b"CONNECT site.example:443 ")
        await visitor.say(b"HTTP/1.1 200 OK\r\n\r\n")

    async with origin(parent) as there, stage() as s:
        via = Via.parse(f"http://127.0.0.1:{there.port}")
        s.proxy.reload(ProxyOptions(listen=HERE, via=via, limits=NOW))
        async with s.client() as client:
            await client.say(connect(b"site.example:443"))
            assert (await client.head()).startswith(b"HTTP/1.1 200 ")
        assert there.problems == []


async def test_tls_cannot_be_switched_on_by_a_reload(tmp_path: Path) -> None:
    async with stage() as s:
        with pytest.raises(ConfigurationError, match="tls_cert: TLS can't be switched"):
            s.proxy.reload(ProxyOptions(tls_cert=tmp_path / "c", tls_key=tmp_path / "k"))


def certificate(folder: Path, authority: trustme.CA, name: str) -> ProxyOptions:
    """Options with TLS and a certificate for `name`."""
    issued = authority.issue_cert(name)
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    issued.cert_chain_pems[0].write_to_path(str(cert))
    issued.private_key_pem.write_to_path(str(key))
    return ProxyOptions(listen=HERE, tls_cert=cert, tls_key=key, limits=NOW)


async def test_another_certificate_is_taken_while_it_runs(tmp_path: Path) -> None:
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    first, second = (certificate(tmp_path, authority, f"{name}.example") for name in ("a", "b"))
    async with Proxy(first) as proxy:
        assert proxy.urls == (f"https://{proxy.addresses[0]}",)
        for options, name in ((first, "a.example"), (second, "b.example")):
            assert proxy.reload(options) == []
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", proxy.addresses[0].port, ssl=trusting, server_hostname=name
            )
            writer.write(b"OPTIONS * HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            writer.close()
            await writer.wait_closed()
        broken = certificate(tmp_path, authority, "c.example")
        (tmp_path / "c.example.key").write_text("")
        with pytest.raises(ConfigurationError, match="tls_key"):
            proxy.reload(broken)
