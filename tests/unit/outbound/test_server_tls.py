"""TLS to the tunnel's server: pinned, trusted, opened on the way, none at all."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.unit.outbound.relaying import ANSWER, AUTHORITY, Heads, server, serving
from underpass.address import Address
from underpass.errors import ConfigurationError, DialError, Failure
from underpass.net.resolve import Resolver
from underpass.net.stream import Dial, Stream
from underpass.outbound.direct import Direct
from underpass.outbound.server_tls import Proof, ServerTls, TlsSeen, Trust, key_hash

NAME = "tunnel.example"
OWN = trustme.CA(organization_name="The server itself").issue_cert(NAME)
BOX = AUTHORITY.issue_cert(NAME)


def dial() -> Dial:
    return Direct(Resolver(1.0, lambda host: ["127.0.0.1"])).open


def der(leaf: trustme.LeafCert) -> bytes:
    return ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())


def pin_of(leaf: trustme.LeafCert) -> bytes:
    key = x509.load_der_x509_certificate(der(leaf)).public_key()
    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).digest()


@pytest.fixture(scope="session")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trust") / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(path))
    return path


async def asks(tls: ServerTls, port: int) -> None:
    """Open a stream and have one request answered over it."""
    stream = await tls.dial(dial())(Address(NAME, port))
    await stream.send(b"GET / HTTP/1.1\r\n\r\n")
    assert await stream.receive() == ANSWER
    await stream.close()


async def fails(tls: ServerTls, port: int) -> DialError:
    with pytest.raises(DialError) as caught:
        await tls.dial(dial())(Address(NAME, port))
    return caught.value


async def test_a_pinned_certificate_needs_no_authority_and_no_name() -> None:
    other_name = trustme.CA().issue_cert("other.example")
    told: list[TlsSeen] = []
    tls = ServerTls(Trust(pin=pin_of(other_name)), told.append)
    async with server(Heads(), serving(other_name)) as port:
        await asks(tls, port)
        await asks(tls, port)
    assert [seen.proof for seen in told] == [Proof.PINNED]
    assert tls.seen == told[0]
    assert not told[0].is_opened


async def test_without_a_pin_the_systems_trust_and_what_was_added_count(authorities: Path) -> None:
    tls = ServerTls(Trust(authorities=authorities))
    async with server(Heads(), serving(BOX)) as port:
        await asks(tls, port)
    assert tls.seen is not None
    assert tls.seen.proof is Proof.SYSTEM
    assert "trustme" in tls.seen.issuer


async def test_a_box_that_the_system_trusts_is_told_and_gone_through(authorities: Path) -> None:
    told: list[TlsSeen] = []
    tls = ServerTls(Trust(pin_of(OWN), authorities), told.append)
    async with server(Heads(), serving(BOX)) as port:
        await asks(tls, port)
        await asks(tls, port)
    [seen] = told
    assert seen.is_opened
    assert "trustme" in seen.issuer


async def test_once_the_box_is_gone_the_pin_counts_again(authorities: Path) -> None:
    tls = ServerTls(Trust(pin_of(OWN), authorities))
    async with server(Heads(), serving(BOX)) as port:
        await asks(tls, port)
    async with server(Heads(), serving(OWN)) as port:
        # The box was expected: this one dial fails and says so.
        assert "somebody opens TLS" in str(await fails(tls, port))
        await asks(tls, port)
    assert tls.seen is not None
    assert tls.seen.proof is Proof.PINNED


async def test_a_pinned_certificate_behind_a_box_that_was_expected(authorities: Path) -> None:
    tls = ServerTls(Trust(pin_of(BOX), authorities))
    async with server(Heads(), serving(AUTHORITY.issue_cert(NAME))) as port:
        await asks(tls, port)
    async with server(Heads(), serving(BOX)) as port:
        await asks(tls, port)
    assert tls.seen is not None
    assert tls.seen.proof is Proof.PINNED


async def test_who_lets_nobody_open_tls_is_not_connected(authorities: Path) -> None:
    tls = ServerTls(Trust(pin_of(OWN), authorities, lets_open=False))
    async with server(Heads(), serving(BOX)) as port:
        error = await fails(tls, port)
    assert error.failure is Failure.UPSTREAM_CERTIFICATE
    assert "issued by" in error.details
    assert "trustme" in error.details
    assert tls.seen is not None
    assert tls.seen.is_opened


@pytest.mark.parametrize("pin", [None, b"p" * 32])
async def test_a_certificate_of_nobody_known_is_refused_and_its_issuer_named(
    pin: bytes | None,
) -> None:
    tls = ServerTls(Trust(pin))
    async with server(Heads(), serving(OWN)) as port:
        error = await fails(tls, port)
    assert error.failure is Failure.UPSTREAM_CERTIFICATE
    assert "The server itself" in error.details
    assert f"somebody opens TLS to {NAME}:{port}" in error.details
    assert tls.seen is not None
    assert tls.seen.proof is Proof.NOTHING


async def test_the_name_counts_without_a_pin(authorities: Path) -> None:
    async with server(Heads(), serving(AUTHORITY.issue_cert("other.example"))) as port:
        error = await fails(ServerTls(Trust(authorities=authorities)), port)
    assert error.failure is Failure.UPSTREAM_CERTIFICATE


PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlogin"


@pytest.mark.parametrize("pin", [None, b"p" * 32])
async def test_a_page_in_place_of_tls_is_told_as_that(pin: bytes | None) -> None:
    async def captive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(PAGE)
        await reader.read()

    async with server(captive) as port:
        error = await fails(ServerTls(Trust(pin)), port)
    assert error.failure is Failure.UPSTREAM_TLS
    assert "does not speak TLS" in error.details


async def test_a_page_that_came_before_tls_began_is_told_as_that() -> None:
    inner = dial()

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(PAGE)
        await reader.read()

    async def after_a_page(address: Address) -> Stream:
        stream = await inner(address)
        stream.unread(await stream.receive())
        return stream

    async with server(early) as port:
        with pytest.raises(DialError, match="does not speak TLS"):
            await ServerTls(Trust()).dial(after_a_page)(Address(NAME, port))


async def test_a_proxys_own_certificate_is_not_taken_for_the_servers() -> None:
    async def refuses(address: Address) -> Stream:
        raise DialError(Failure.UPSTREAM_CERTIFICATE, "the proxy's")

    with pytest.raises(DialError, match="the proxy's") as caught:
        await ServerTls(Trust()).dial(refuses)(Address(NAME, 443))
    assert "somebody opens" not in caught.value.details


def test_what_is_no_certificate_is_the_servers_fault() -> None:
    with pytest.raises(DialError, match="malformed certificate"):
        key_hash(b"0")


@pytest.mark.parametrize("text", ["", "no PEM"])
def test_authorities_that_are_none_stop_the_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ca.pem"
    if text:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"ca\.pem"):
        ServerTls(Trust(authorities=path))


def test_a_pin_is_in_no_repr() -> None:
    assert "secret" not in repr(Trust(pin=b"secret"))
