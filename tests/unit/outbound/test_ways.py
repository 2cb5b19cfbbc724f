"""The ways to a server: which there are, in what order, and that requests go over each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from tests.unit.outbound.parents import CAROL, Script
from tests.unit.outbound.relaying import (
    AUTHORITY,
    Heads,
    Relay,
    server,
    serving,
    trusting,
)
from underpass.address import Address
from underpass.carriers.base import CarrierError
from underpass.carriers.http_client import HttpClient, Request
from underpass.carriers.server_url import ServerUrl
from underpass.net.resolve import Resolver
from underpass.outbound.direct import Direct
from underpass.outbound.server_tls import ServerTls, Trust
from underpass.outbound.via import Chain, Via
from underpass.outbound.ways import Way, Ways
from underpass.protocol.http.fields import Fields

NAME = "tunnel.example"
HTTP = Via("http", Address("proxy.example", 3128))
TLS = Via("https", Address("proxy.example", 443), CAROL.user, CAROL.password)
SOCKS = Via("socks5", Address("::1", 1080))


def ways_to(url: str, *chains: Chain, trust: Trust | None = None) -> Ways:
    direct = Direct(Resolver(1.0, lambda host: ["127.0.0.1"]))
    tls = ServerTls(trust or Trust())
    return Ways(ServerUrl.parse(url), chains, direct.open, tls, trusting(AUTHORITY))


def names(ways: Ways) -> tuple[list[str], list[str]]:
    return [way.name for way in ways.for_websocket], [way.name for way in ways.for_requests]


def proxy(port: int, scheme: str = "http") -> Via:
    return Via(scheme, Address("proxy.example", port))


def test_directly_there_is_one_way() -> None:
    for url in ("http://tunnel.example", "https://tunnel.example"):
        assert names(ways_to(url, ())) == (["direct"], ["direct"])


def test_a_proxy_that_forwards_is_asked_in_two_ways_over_http() -> None:
    through, plain = "through proxy.example:3128", "through proxy.example:3128 without CONNECT"
    assert names(ways_to("http://tunnel.example", (HTTP,))) == ([through, plain], [plain, through])


def test_tls_leaves_connect_alone() -> None:
    assert names(ways_to("https://tunnel.example", (HTTP,)))[0] == ["through proxy.example:3128"]


def test_socks_forwards_no_requests() -> None:
    name = "through socks5 [::1]:1080"
    assert names(ways_to("http://tunnel.example", (SOCKS,))) == ([name], [name])


def test_chains_come_in_their_order_and_once() -> None:
    found = names(ways_to("https://tunnel.example", (TLS, SOCKS), (), (TLS, SOCKS)))
    assert found[1] == ["through https proxy.example:443, then socks5 [::1]:1080", "direct"]


def test_no_name_tells_a_password() -> None:
    assert CAROL.password not in str(names(ways_to("http://tunnel.example", (TLS,))))


async def answered(way: Way, url: str, path: str = "TOKEN") -> bytes:
    client = HttpClient(ServerUrl.parse(url), way.make)
    answer = await client.exchange(Request("GET", path))
    again = await client.exchange(Request("POST", path, b""))
    client.close()
    assert answer.body == again.body
    return answer.body


async def test_a_plain_request_is_handed_on_in_absolute_form() -> None:
    parent = Heads()
    async with server(parent) as port:
        url = "http://tunnel.example/prefix"
        way = ways_to(url, (proxy(port),)).for_requests[0]
        assert await answered(way, url) == b"hi"
    assert parent.heads[0].startswith(b"GET http://tunnel.example/prefix/TOKEN HTTP/1.1\r\n")
    assert b"\r\nHost: tunnel.example\r\n" in parent.heads[0]


async def test_an_upgrade_is_asked_for_in_absolute_form_too() -> None:
    heads: list[bytes] = []

    async def parent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly")
        await reader.read()

    async with server(parent) as port:
        url = "http://tunnel.example"
        _, plain = ways_to(url, (proxy(port),)).for_websocket
        fields = Fields([(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")])
        client = HttpClient(ServerUrl.parse(url), plain.make)
        _, stream = await client.upgrade(Request("GET", "TOKEN", fields=fields))
        assert await stream.receive() == b"early"
        stream.abort()
    assert heads[0].startswith(b"GET http://tunnel.example/TOKEN HTTP/1.1\r\n")
    assert b"\r\nUpgrade: websocket\r\n" in heads[0]


async def test_a_chain_connects_to_its_last_and_hands_that_the_request() -> None:
    last = Heads()
    async with server(last) as last_port:
        first = Relay(last_port)
        async with server(first) as first_port:
            url = "http://tunnel.example"
            chain = (proxy(first_port), Via("http", Address("last.example", 3128)))
            assert await answered(ways_to(url, chain).for_requests[0], url) == b"hi"
    assert first.targets == [b"CONNECT last.example:3128 HTTP/1.1"]
    assert last.heads[0].startswith(b"GET http://tunnel.example/TOKEN ")


async def test_a_chain_that_connects_all_the_way() -> None:
    origin = Heads()
    async with server(origin) as origin_port:
        last = Relay(origin_port)
        async with server(last) as last_port:
            first = Relay(last_port)
            async with server(first) as first_port:
                url = "http://tunnel.example"
                chain = (proxy(first_port), Via("http", Address("last.example", 3128)))
                assert await answered(ways_to(url, chain).for_websocket[0], url) == b"hi"
    assert first.targets == [b"CONNECT last.example:3128 HTTP/1.1"]
    assert last.targets == [b"CONNECT tunnel.example:80 HTTP/1.1"]
    assert origin.heads[0].startswith(b"GET /TOKEN HTTP/1.1\r\n")


async def tls_in_tls(authorities: Path) -> None:
    origin = Heads()
    certificate = serving(AUTHORITY.issue_cert(NAME))
    async with server(origin, certificate) as origin_port:
        relay = Relay(origin_port)
        async with server(relay, serving(AUTHORITY.issue_cert("proxy.example"))) as port:
            url = f"https://{NAME}:8443"
            ways = ways_to(url, (proxy(port, "https"),), trust=Trust(authorities=authorities))
            assert await answered(ways.for_requests[0], url) == b"hi"
    assert relay.targets == [b"CONNECT tunnel.example:8443 HTTP/1.1"]
    assert origin.heads[0].startswith(b"GET /TOKEN HTTP/1.1\r\n")


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


@pytest.mark.parametrize("loop", LOOPS)
def test_tls_to_the_server_goes_through_tls_to_the_proxy(loop: str, tmp_path: Path) -> None:
    authorities = tmp_path / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(authorities))
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(tls_in_tls(authorities))


def replying(answer: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if answer:
            await reader.read()

    return script


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 403 No CONNECT here\r\nContent-Length: 0\r\n\r\n", "403 No CONNECT here"),
        (b"HTTP/1.1 405 Not allowed\r\nConnection: close\r\n\r\n", "405 Not allowed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlogin", "does not speak TLS"),
        (b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", "407 Who"),
        (b"", "no answer to CONNECT"),
        (b"\x15\x03\x03\x00\x02\x02\x28", "upstream proxy"),
    ],
)
async def test_a_proxy_that_does_not_connect_is_told_as_what_it_is(
    answer: bytes, said: str
) -> None:
    script = replying(answer)
    if not answer:

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")

    async with server(script) as port:
        url = "https://tunnel.example"
        client = HttpClient(ServerUrl.parse(url), ways_to(url, (proxy(port),)).for_requests[0].make)
        with pytest.raises(CarrierError, match=said):
            await client.exchange(Request("GET", "TOKEN"))
