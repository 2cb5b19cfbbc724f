"""The server's side of SOCKS: whole, byte by byte, with early data, and what is no SOCKS."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.address import Address
from underpass.errors import Failure, RemoteProtocolError
from underpass.protocol.grammar import Buffer, EndOfData, Need
from underpass.protocol.http.digest import Login
from underpass.protocol.socks import connect_through
from underpass.protocol.socks_server import (
    CheckLogin,
    SocksRefused,
    SocksRequest,
    SocksVersion,
    reply,
    serve_socks,
)


class Served:
    """What a dialogue said and came to, for bytes that came in these pieces."""

    def __init__(self, pieces: Iterable[bytes], check: CheckLogin | None = None) -> None:
        self.said = b""
        self.request: SocksRequest | None = None
        buffer = Buffer()
        left = list(pieces)
        dialogue = serve_socks(buffer, check)
        while self.request is None:
            try:
                step = next(dialogue)
            except StopIteration as done:
                self.request = done.value
                break
            if not isinstance(step, Need):
                self.said += step
            elif left:
                buffer.feed(left.pop(0))
            else:
                buffer.end()
        self.rest = buffer.take(len(buffer)) + b"".join(left)

    @property
    def address(self) -> Address:
        assert self.request is not None
        return self.request.address


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def alice(user: bytes, password: bytes) -> bool:
    return (user, password) == (b"alice", b"secret")


NAME = b"\x05\x01\x00" + b"\x05\x01\x00\x03\x0bexample.com\x01\xbb"
REQUESTS = {
    "5 name": (NAME, Address("example.com", 443), b"\x05\x00"),
    "5 IPv4": (
        b"\x05\x02\x00\x02\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50",
        Address("127.0.0.1", 80),
        b"\x05\x00",
    ),
    "5 IPv6": (
        b"\x05\x01\x00\x05\x01\x00\x04" + ipaddress.ip_address("2001:db8::1").packed + b"\x00\x16",
        Address("2001:db8::1", 22),
        b"\x05\x00",
    ),
    "4": (b"\x04\x01\x00\x50\x0a\x00\x00\x01me\x00", Address("10.0.0.1", 80), b""),
    "4 without a user": (b"\x04\x01\x00\x50\x0a\x00\x00\x01\x00", Address("10.0.0.1", 80), b""),
    "4a": (b"\x04\x01\x01\xbb\x00\x00\x00\x01me\x00a.test\x00", Address("a.test", 443), b""),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_read_whole(name: str) -> None:
    data, address, said = REQUESTS[name]
    served = Served([data + b"early"])
    assert (served.address, served.said, served.rest) == (address, said, b"early")


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_read_byte_by_byte(name: str) -> None:
    data, address, said = REQUESTS[name]
    served = Served(bytewise(data + b"early"))
    assert (served.address, served.said, served.rest) == (address, said, b"early")


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_that_ends_early_is_none(name: str) -> None:
    data, _, _ = REQUESTS[name]
    for size in range(len(data)):
        with pytest.raises(EndOfData):
            Served([data[:size]])


LOGIN = b"\x05\x02\x00\x02" + b"\x01\x05alice\x06secret" + NAME[3:]


def test_a_login_is_asked_for_and_taken() -> None:
    served = Served(bytewise(LOGIN), alice)
    assert served.said == b"\x05\x02\x01\x00"
    assert served.address.host == "example.com"


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        # Nobody there offers a login.
        (NAME, b"\x05\xff"),
        (b"\x05\x00", b"\x05\xff"),
        (LOGIN.replace(b"secret", b"wrong!"), b"\x01\x01"),
        (LOGIN.replace(b"\x05alice", b"\x05mally"), b"\x01\x01"),
        (b"\x05\x01\x02\x01\x00\x00", b"\x01\x01"),
        # SOCKS 4 has no password.
        (REQUESTS["4"][0], b"\x00\x5b" + bytes(6)),
        (REQUESTS["4a"][0], b"\x00\x5b" + bytes(6)),
    ],
)
def test_without_the_right_login_nobody_is_served(data: bytes, answer: bytes) -> None:
    with pytest.raises(SocksRefused) as caught:
        Served([data], alice)
    assert caught.value.answer == answer
    assert "secret" not in caught.value.reason


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        # BIND, UDP ASSOCIATE, and a command that there is not.
        (b"\x05\x01\x00\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50", 7),
        (b"\x05\x01\x00\x05\x03\x00\x01\x7f\x00\x00\x01\x00\x50", 7),
        (b"\x05\x01\x00\x05\x09\x00\x01\x7f\x00\x00\x01\x00\x50", 7),
        # A kind of address that there is not.
        (b"\x05\x01\x00\x05\x01\x00\x02\x7f\x00\x00\x01\x00\x50", 8),
        # Port 0, no name, an empty name, bytes that are no text.
        (b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x00", 1),
        (b"\x05\x01\x00\x05\x01\x00\x03\x03a b\x00\x50", 1),
        (b"\x05\x01\x00\x05\x01\x00\x03\x00\x00\x50", 1),
        (b"\x05\x01\x00\x05\x01\x00\x03\x02\xff\xfe\x00\x50", 1),
    ],
)
def test_what_is_not_served_gets_its_own_code(data: bytes, answer: int) -> None:
    with pytest.raises(SocksRefused) as caught:
        Served([data])
    assert caught.value.answer == b"\x05%c\x00\x01" % answer + bytes(6)


@pytest.mark.parametrize(
    "data",
    [
        b"\x04\x02\x00\x50\x0a\x00\x00\x01\x00",
        b"\x04\x01\x00\x00\x0a\x00\x00\x01\x00",
        b"\x04\x01\x01\xbb\x00\x00\x00\x01me\x00a b\x00",
    ],
)
def test_what_is_not_served_to_version_4_is_rejected(data: bytes) -> None:
    with pytest.raises(SocksRefused) as caught:
        Served([data])
    assert caught.value.answer == b"\x00\x5b" + bytes(6)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"\x00",
        # Another version, or a reserved byte, in the request.
        b"\x05\x01\x00\x04\x01\x00\x01\x7f\x00\x00\x01\x00\x50",
        b"\x05\x01\x00\x05\x01\x01\x01\x7f\x00\x00\x01\x00\x50",
        # Strings without an end.
        b"\x04\x01\x00\x50\x0a\x00\x00\x01" + b"u" * 256,
        b"\x04\x01\x00\x50\x0a\x00\x00\x01" + b"u" * 300 + b"\x00",
        b"\x04\x01\x00\x50\x00\x00\x00\x01\x00" + b"n" * 256,
    ],
)
def test_what_is_no_socks_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Served([data])


def test_a_login_of_another_version_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        Served([b"\x05\x01\x02\x05\x05alice\x06secret"], alice)


def test_what_is_too_long_is_refused_before_it_is_whole() -> None:
    endless = (b"u" for _ in range(10_000))
    with pytest.raises(RemoteProtocolError):
        Served([b"\x04\x01\x00\x50\x0a\x00\x00\x01", *endless])


# --- replies


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (None, 0),
        (Failure.FORBIDDEN, 2),
        (Failure.NETWORK_UNREACHABLE, 3),
        (Failure.DNS_ERROR, 4),
        (Failure.CONNECTION_REFUSED, 5),
        (Failure.TUNNEL_DOWN, 1),
    ],
)
def test_a_failure_has_its_code_in_each_version(failure: Failure | None, code: int) -> None:
    assert reply(SocksVersion.FIVE, failure)[:2] == bytes((5, code))
    assert reply(SocksVersion.FOUR, failure) == bytes((0, 0x5B if failure else 0x5A)) + bytes(6)


@pytest.mark.parametrize(
    ("bound", "shown"),
    [
        (None, b"\x01" + bytes(6)),
        (Address("10.0.0.1", 80), b"\x01\x0a\x00\x00\x01\x00\x50"),
        (
            Address("2001:db8::1", 80),
            b"\x04" + ipaddress.ip_address("2001:db8::1").packed + b"\x00\x50",
        ),
        # A reply has no room for what is not known.
        (Address("a.test", 80), b"\x01" + bytes(6)),
    ],
)
def test_a_reply_tells_where_the_stream_stands(bound: Address | None, shown: bytes) -> None:
    assert reply(SocksVersion.FIVE, None, bound) == b"\x05\x00\x00" + shown


# --- both sides, and anything


HOSTS = st.one_of(
    st.ip_addresses().map(str),
    st.from_regex(r"[a-z][a-z0-9]{0,20}(\.[a-z][a-z0-9]{0,20}){0,3}", fullmatch=True),
)


@given(HOSTS, st.integers(1, 65535), st.booleans(), st.integers(1, 7))
def test_our_own_client_is_understood(host: str, port: int, with_login: bool, size: int) -> None:
    try:
        address = Address.of(host, port)
    except ValueError:
        return
    login = Login("alice", "secret") if with_login else None
    client_buffer, server_buffer = Buffer(), Buffer()
    client = connect_through(client_buffer, address, login)
    server = serve_socks(server_buffer, alice if with_login else None)
    to_server, to_client = b"", b""
    request: SocksRequest | None = None
    is_done = False
    for _ in range(2000):
        if is_done and request is not None:
            break
        if not is_done:
            try:
                step = next(client)
                if not isinstance(step, Need):
                    to_server += step
                elif to_client:
                    client_buffer.feed(to_client[:size])
                    to_client = to_client[size:]
            except StopIteration:
                is_done = True
        if request is None:
            try:
                step = next(server)
                if not isinstance(step, Need):
                    to_client += step
                elif to_server:
                    server_buffer.feed(to_server[:size])
                    to_server = to_server[size:]
            except StopIteration as done:
                request = done.value
                to_client += reply(SocksVersion.FIVE, None, address)
    assert request == SocksRequest(SocksVersion.FIVE, address)
    assert is_done
    assert (to_client, len(client_buffer)) == (b"", 0)


@given(st.binary(max_size=80), st.sampled_from([b"", b"\x04\x01", b"\x05\x01\x00\x05\x01\x00"]))
def test_anything_is_served_or_refused(data: bytes, start: bytes) -> None:
    outcomes = set()
    for pieces in ([start + data], bytewise(start + data)):
        try:
            served = Served(pieces)
            outcomes.add((str(served.address), served.said, served.rest))
        except SocksRefused as refused:
            outcomes.add(("refused", refused.answer, b""))
        except (RemoteProtocolError, EndOfData) as error:
            outcomes.add((type(error).__name__, b"", b""))
    # How the bytes are cut makes no difference.
    assert len(outcomes) == 1


def test_a_request_says_which_version_it_was() -> None:
    assert Served([NAME]).request == SocksRequest(SocksVersion.FIVE, Address("example.com", 443))
    four = struct.pack("!BBH4s", 4, 1, 80, b"\x01\x02\x03\x04") + b"\0"
    assert Served([four]).request == SocksRequest(SocksVersion.FOUR, Address("1.2.3.4", 80))
