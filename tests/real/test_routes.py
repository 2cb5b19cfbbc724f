"""The client's ways to a server, through real proxies that want a login."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.origins import Authority, HttpOrigin
from tests.real.test_parents import (
    NTLM,
    PASSWORD,
    USER,
    access,
    squid,
    squid_folder,
    tinyproxy,
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

pytestmark = pytest.mark.real

__all__ = ["access", "squid_folder"]

# GETs and POSTs, of each of so many at once.
EACH = 7
STREAMS = 4

# As squid's log has them.
WORDS = ("TCP_DENIED/407", "TCP_MISS")


def ways_to(origin: HttpOrigin, chain: Chain, authorities: Path | None = None) -> Ways:
    tls = ServerTls(Trust(authorities=authorities))
    return Ways(ServerUrl.parse(origin.url), [chain], Direct(Resolver()).open, tls)


def proxy(port: int, password: str = PASSWORD, user: str = USER) -> Via:
    return Via("http", Address("127.0.0.1", port), user, password)


async def used(way: Way, origin: HttpOrigin) -> None:
    """Have many requests answered over a few streams at once."""
    client = HttpClient(ServerUrl.parse(origin.url), way.make)

    async def some() -> None:
        for _ in range(EACH):
            assert len((await client.exchange(Request("GET", "bytes/1000"))).body) == 1000
            sent = await client.exchange(Request("POST", "upload", b"x" * 100_000))
            assert b'"length": 100000' in sent.body

    async with asyncio.TaskGroup() as tasks:
        for _ in range(STREAMS):
            tasks.create_task(some())
    client.close()


async def test_squid_lets_our_user_in_by_every_way(
    program: Callable[[str], Path],
    squid_folder: Path,
    access: str,
    plain: HttpOrigin,
    secure: HttpOrigin,
    authority: Authority,
) -> None:
    with squid(program, squid_folder, access) as port:
        chain = (proxy(port),)
        for way in ways_to(plain, chain).for_requests:
            await used(way, plain)
        [through] = ways_to(secure, chain, authority.ca_file).for_requests
        await used(through, secure)


async def test_squid_that_wants_ntlm_is_logged_in_to_stream_by_stream(
    program: Callable[[str], Path],
    squid_folder: Path,
    plain: HttpOrigin,
    secure: HttpOrigin,
    authority: Authority,
) -> None:
    # It believes every password, but wants each leg in its order.
    access = NTLM.format(helper=program("ntlm_fake_auth"))
    with squid(program, squid_folder, access) as port:
        chain = (proxy(port, user=f"CORP\\{USER}"),)
        for way in ways_to(plain, chain).for_requests:
            await used(way, plain)
        [through] = ways_to(secure, chain, authority.ca_file).for_requests
        await used(through, secure)
    log = (squid_folder / "access.log").read_text()
    # Each stream was asked twice before it was let in, and what followed on it was not.
    refused, let_in = (sum(f" {word}" in line for line in log.splitlines()) for word in WORDS)
    assert 0 < refused <= 3 * 2 * STREAMS + 3
    assert let_in == 2 * EACH * STREAMS


async def test_a_stream_may_begin_with_a_long_body(
    program: Callable[[str], Path], squid_folder: Path, plain: HttpOrigin
) -> None:
    access = NTLM.format(helper=program("ntlm_fake_auth"))
    with squid(program, squid_folder, access) as port:
        way = ways_to(plain, (proxy(port),)).for_requests[0]
        for size in (10_000, 100_000, 1_000_000):
            client = HttpClient(ServerUrl.parse(plain.url), way.make)
            sent = await client.exchange(Request("POST", "upload", b"x" * size))
            assert b'"length": %d' % size in sent.body
            client.close()


async def test_squid_is_asked_three_times_with_a_wrong_password(
    program: Callable[[str], Path], squid_folder: Path, access: str, plain: HttpOrigin
) -> None:
    with squid(program, squid_folder, access) as port:
        for way in [*ways_to(plain, (proxy(port, "wrong"),)).for_requests] * 3:
            client = HttpClient(ServerUrl.parse(plain.url), way.make)
            with pytest.raises(CarrierError, match=r"407|not tried again"):
                await client.exchange(Request("GET", "bytes/10"))
    log = (squid_folder / "access.log").read_text()
    assert sum(f" {USER} " in line for line in log.splitlines()) <= 3
    assert plain.visits == []


async def test_tinyproxy_that_connects_to_443_alone_takes_plain_requests(
    program: Callable[[str], Path], tmp_path: Path, plain: HttpOrigin
) -> None:
    with tinyproxy(program, tmp_path, f"ConnectPort 443\nBasicAuth {USER} sesame\n") as port:
        chain = (proxy(port, "sesame"),)
        forward, connect = ways_to(plain, chain).for_requests
        await used(forward, plain)
        client = HttpClient(ServerUrl.parse(plain.url), connect.make)
        with pytest.raises(CarrierError, match="403"):
            await client.exchange(Request("GET", "bytes/10"))


async def test_a_chain_of_squid_and_tinyproxy(
    program: Callable[[str], Path], squid_folder: Path, tmp_path: Path, plain: HttpOrigin
) -> None:
    with (
        squid(program, squid_folder, "http_access allow all") as first,
        tinyproxy(program, tmp_path) as last,
    ):
        chain = tuple(Via("http", Address("127.0.0.1", p)) for p in (first, last))
        for way in ways_to(plain, chain).for_requests:
            await used(way, plain)
    log = (squid_folder / "access.log").read_text()
    assert f"CONNECT 127.0.0.1:{last} " in log
    assert f"GET {plain.url}" in (tmp_path / "tinyproxy.log").read_text()
