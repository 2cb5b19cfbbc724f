"""Streams through a scripted SOCKS5 proxy (RFC 1928, RFC 1929)."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.outbound.parents import CAROL, SITE, Script, fails, free, parent
from underpass.address import Address
from underpass.errors import Failure
from underpass.outbound.account import MAX_REFUSALS
from underpass.protocol.http.digest import Login

GREETING = b"\x05\x01\x00"
REPLY = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"


def dialogue(*lines: bytes) -> Script:
    """What is said to the proxy and what it answers, in turn."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, line in enumerate(lines):
            if number % 2:
                writer.write(line)
            else:
                assert await reader.readexactly(len(line)) == line

    return script


@pytest.mark.parametrize(
    ("address", "encoded"),
    [
        (SITE, b"\x03\x0csite.example\x01\xbb"),
        (Address("192.0.2.1", 80), b"\x01\xc0\x00\x02\x01\x00\x50"),
        (
            Address("2001:db8::1", 80),
            b"\x04" + bytes.fromhex("20010db8" + "0" * 23 + "1") + b"\0\x50",
        ),
    ],
)
async def test_socks_opens_a_stream_and_keeps_early_bytes(address: Address, encoded: bytes) -> None:
    script = dialogue(GREETING, b"\x05\x00", b"\x05\x01\x00" + encoded, REPLY + b"early")
    async with parent(script) as p:
        upstream = p.upstream("socks5")
        assert not upstream.forwards
        stream = await upstream.open(address)
        assert await stream.receive() == b"early"
        await free(stream)


@pytest.mark.parametrize("bound", [b"\x03\x04host\x00\x01", b"\x04" + bytes(18)])
async def test_socks_may_be_bound_to_any_kind_of_address(bound: bytes) -> None:
    request = b"\x05\x01\x00\x03\x0csite.example\x01\xbb"
    script = dialogue(GREETING, b"\x05\x00", request, b"\x05\x00\x00" + bound + b"early")
    async with parent(script) as p:
        stream = await p.upstream("socks5").open(SITE)
        assert await stream.receive() == b"early"
        await free(stream)


async def test_socks_logs_in() -> None:
    request = b"\x05\x01\x00\x03\x0csite.example\x01\xbb"
    login = b"\x01\x05carol\x06sesame"
    script = dialogue(b"\x05\x02\x00\x02", b"\x05\x02", login, b"\x01\x00", request, REPLY)
    async with parent(script) as p:
        await free(await p.upstream("socks5", CAROL).open(SITE))


async def test_a_socks_login_that_is_refused_is_tried_three_times_and_never_again() -> None:
    script = dialogue(b"\x05\x02\x00\x02", b"\x05\x02", b"\x01\x05carol\x06sesame", b"\x01\x01")
    async with parent(script) as p:
        upstream = p.upstream("socks5", CAROL)
        for _ in range(MAX_REFUSALS):
            assert "refused the login" in (await fails(upstream)).details
        assert "not tried again" in (await fails(upstream)).details
        assert p.accepted == MAX_REFUSALS


async def test_a_socks_refusal_of_the_address_is_none_of_the_login() -> None:
    request = b"\x05\x01\x00\x03\x0csite.example\x01\xbb"
    login = b"\x01\x05carol\x06sesame"
    refusal = b"\x05\x05" + REPLY[2:]
    script = dialogue(b"\x05\x02\x00\x02", b"\x05\x02", login, b"\x01\x00", request, refusal)
    async with parent(script) as p:
        upstream = p.upstream("socks5", CAROL)
        for _ in range(MAX_REFUSALS + 1):
            assert (await fails(upstream)).failure is Failure.CONNECTION_REFUSED


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (1, Failure.UPSTREAM_REFUSED),
        (2, Failure.FORBIDDEN),
        (3, Failure.NETWORK_UNREACHABLE),
        (4, Failure.HOST_UNREACHABLE),
        (5, Failure.CONNECTION_REFUSED),
        (6, Failure.CONNECTION_TIMEOUT),
        (7, Failure.UPSTREAM_REFUSED),
        (8, Failure.UPSTREAM_REFUSED),
        (99, Failure.UPSTREAM_REFUSED),
    ],
)
async def test_socks_refusals_are_told_apart(reply: int, failure: Failure) -> None:
    request = b"\x05\x01\x00\x03\x0csite.example\x01\xbb"
    answer = bytes((5, reply)) + REPLY[2:]
    async with parent(dialogue(GREETING, b"\x05\x00", request, answer)) as p:
        error = await fails(p.upstream("socks5"))
        assert error.failure is failure
        assert error.details == f"SOCKS reply {reply}"


@pytest.mark.parametrize(
    ("lines", "failure"),
    [
        ((b"\x05\x02\x00\x02", b"\x05\xff"), Failure.UPSTREAM_REFUSED),
        ((b"\x05\x02\x00\x02", b"\x04\x00"), Failure.UPSTREAM_PROTOCOL),
        (
            (b"\x05\x02\x00\x02", b"\x05\x02", b"\x01\x05carol\x06sesame", b"\x01\x01"),
            Failure.UPSTREAM_REFUSED,
        ),
        (
            (b"\x05\x02\x00\x02", b"\x05\x02", b"\x01\x05carol\x06sesame", b"\x05\x00"),
            Failure.UPSTREAM_PROTOCOL,
        ),
        ((b"\x05\x02\x00\x02", b"\x05\x00", b"\x05\x01\x00", b"HTTP"), Failure.UPSTREAM_PROTOCOL),
        (
            (b"\x05\x02\x00\x02", b"\x05\x00", b"\x05\x01\x00", b"\x05\x00\x00\x09"),
            Failure.UPSTREAM_PROTOCOL,
        ),
    ],
    ids=["no method", "not SOCKS5", "wrong login", "not a login", "not a reply", "odd address"],
)
async def test_what_is_no_socks_dialogue_is_told(
    lines: tuple[bytes, ...], failure: Failure
) -> None:
    async with parent(dialogue(*lines)) as p:
        assert (await fails(p.upstream("socks5", CAROL))).failure is failure


async def test_a_socks_proxy_that_wants_a_login_we_have_not_is_told() -> None:
    async with parent(dialogue(GREETING, b"\x05\x02")) as p:
        assert "wants a login that we have not" in (await fails(p.upstream("socks5"))).details


@pytest.mark.parametrize("login", [Login("carol", ""), Login("c" * 256, "x")])
async def test_a_login_that_socks_cannot_carry_is_told(login: Login) -> None:
    async with parent(dialogue(b"\x05\x02\x00\x02", b"\x05\x02")) as p:
        assert "1 to 255 bytes" in (await fails(p.upstream("socks5", login))).details


async def test_a_socks_proxy_that_hangs_up_is_told() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x05")
        writer.write_eof()

    async with parent(script) as p:
        error = await fails(p.upstream("socks5"))
        assert (error.failure, error.details) == (
            Failure.UPSTREAM_REFUSED,
            "the upstream proxy hung up",
        )
