"""The hellos field by field, both ways; what is out of bounds is neither made nor believed."""

from __future__ import annotations

import contextlib
import dataclasses
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import LocalProtocolError, RemoteProtocolError
from underpass.protocol.hello import (
    LIMIT_BOUNDS,
    Capability,
    ClientHello,
    Limits,
    OtherHello,
    Refusal,
    ServerHello,
    Status,
    negotiate,
    parse_client_hello,
    parse_server_hello,
)

LEAST = Limits(1, 1, 0, 1_000)
MOST = Limits(2**31 - 1, 2**30, 86_400, 600_000)

LEAST_BYTES = bytes.fromhex("00000001 00000001 00000000 000003e8")
MOST_BYTES = bytes.fromhex("7fffffff 40000000 00015180 000927c0")

CLIENT_HELLOS = [
    (
        ClientHello(0, LEAST),
        bytes.fromhex("01 00000000 0000000000000000") + LEAST_BYTES + b"\x00\x00",
    ),
    (
        ClientHello(2**64 - 1, MOST, Capability(2**32 - 1), b"c" * 255, b"f" * 32),
        b"\x01" + b"\xff" * 12 + MOST_BYTES + b"\xff" + b"c" * 255 + b"\x20" + b"f" * 32,
    ),
    (
        ClientHello(0x0102030405060708, LEAST, Capability.DATAGRAMS, b"", b"f"),
        bytes.fromhex("01 00000001 0102030405060708") + LEAST_BYTES + b"\x00\x01f",
    ),
]

SERVER_HELLOS: list[tuple[ServerHello | Refusal, bytes]] = [
    (
        ServerHello(b"s", LEAST),
        bytes.fromhex("01 00 00000000 01") + b"s" + LEAST_BYTES + b"\x00",
    ),
    (
        ServerHello(b"s" * 32, MOST, Capability(2**32 - 1), has_former=True),
        bytes.fromhex("01 00 ffffffff 20") + b"s" * 32 + MOST_BYTES + b"\x01",
    ),
    (Refusal(Status.VERSION, 0), bytes.fromhex("01 01 0000000000000000 0000")),
    (
        Refusal(Status.DRAINING, 2**64 - 1, "€" * 341 + "x"),
        bytes.fromhex("01 06 ffffffffffffffff 0400") + b"\xe2\x82\xac" * 341 + b"x",
    ),
    *[
        (Refusal(status, 1, status.name), _refused)
        for status in Status
        for _refused in [
            struct.pack("!BBQH", 1, status, 1, len(status.name)) + status.name.encode("ascii")
        ]
    ],
]


@pytest.mark.parametrize(("hello", "payload"), CLIENT_HELLOS)
def test_a_client_hello_is_written_and_read(hello: ClientHello, payload: bytes) -> None:
    assert hello.encode() == payload
    assert parse_client_hello(payload) == hello
    assert parse_client_hello(payload + b"of a later version") == hello


@pytest.mark.parametrize(("hello", "payload"), SERVER_HELLOS)
def test_a_server_hello_is_written_and_read(hello: ServerHello | Refusal, payload: bytes) -> None:
    assert hello.encode() == payload
    assert parse_server_hello(payload) == hello
    assert parse_server_hello(payload + b"of a later version") == hello


@pytest.mark.parametrize(("_", "payload"), CLIENT_HELLOS)
def test_a_client_hello_cut_anywhere_is_refused(_: ClientHello, payload: bytes) -> None:
    for size in range(len(payload)):
        with pytest.raises(RemoteProtocolError):
            parse_client_hello(payload[:size])


@pytest.mark.parametrize(("_", "payload"), SERVER_HELLOS)
def test_a_server_hello_cut_anywhere_is_refused(_: ServerHello | Refusal, payload: bytes) -> None:
    for size in range(len(payload)):
        with pytest.raises(RemoteProtocolError):
            parse_server_hello(payload[:size])


@pytest.mark.parametrize("version", [0, 2, 255])
def test_of_a_hello_of_another_version_only_what_all_have_is_read(version: int) -> None:
    head = struct.pack("!BIQ", version, 7, 123)
    assert parse_client_hello(head) == OtherHello(version, 123)
    assert parse_client_hello(head + b"\xff" * 100) == OtherHello(version, 123)
    with pytest.raises(RemoteProtocolError):
        parse_client_hello(head[:-1])


@pytest.mark.parametrize("version", [0, 2, 255])
def test_a_refusal_is_read_in_any_version_and_a_welcome_is_not(version: int) -> None:
    refusal = Refusal(Status.VERSION, 5, "speak 2")
    payload = bytes((version,)) + refusal.encode()[1:]
    assert parse_server_hello(payload) == refusal
    welcome = bytes((version,)) + ServerHello(b"s", LEAST).encode()[1:]
    with pytest.raises(RemoteProtocolError, match="version"):
        parse_server_hello(welcome)


@pytest.mark.parametrize("status", [7, 128, 255])
def test_an_unknown_status_is_refused(status: int) -> None:
    with pytest.raises(RemoteProtocolError, match="unknown status"):
        parse_server_hello(struct.pack("!BBQH", 1, status, 0, 0))


BEYOND = [
    ("initial_window", 0),
    ("initial_window", 2**31),
    ("streams", 0),
    ("streams", 2**30 + 1),
    ("grace", 86_401),
    ("keepalive", 999),
    ("keepalive", 600_001),
    *[(name, 2**32 - 1) for name in LIMIT_BOUNDS],
]


@pytest.mark.parametrize(("name", "value"), BEYOND)
def test_a_limit_out_of_bounds_is_neither_made_nor_believed(name: str, value: int) -> None:
    fields: dict[str, Any] = dataclasses.asdict(LEAST) | {name: value}
    with pytest.raises(LocalProtocolError, match=name):
        Limits(**fields)
    limits = struct.pack("!IIII", *fields.values())
    with pytest.raises(RemoteProtocolError, match=name):
        parse_client_hello(CLIENT_HELLOS[0][1].replace(LEAST_BYTES, limits))
    with pytest.raises(RemoteProtocolError, match=name):
        parse_server_hello(SERVER_HELLOS[0][1].replace(LEAST_BYTES, limits))


def test_a_code_too_long_is_not_made() -> None:
    with pytest.raises(LocalProtocolError, match="invite code"):
        ClientHello(0, LEAST, code=bytes(256))


@pytest.mark.parametrize("size", [33, 255])
def test_a_former_id_too_long_is_neither_made_nor_believed(size: int) -> None:
    with pytest.raises(LocalProtocolError, match="session id"):
        ClientHello(0, LEAST, former=bytes(size))
    payload = CLIENT_HELLOS[0][1][:-1] + bytes((size,)) + bytes(size)
    with pytest.raises(RemoteProtocolError, match="session id"):
        parse_client_hello(payload)


@pytest.mark.parametrize("size", [0, 33, 255])
def test_a_session_id_of_another_size_is_neither_made_nor_believed(size: int) -> None:
    with pytest.raises(LocalProtocolError, match="session id"):
        ServerHello(bytes(size), LEAST)
    payload = bytes.fromhex("01 00 00000000") + bytes((size,)) + bytes(size) + LEAST_BYTES + b"\0"
    with pytest.raises(RemoteProtocolError, match="session id"):
        parse_server_hello(payload)


@pytest.mark.parametrize("former", [2, 255])
def test_a_former_session_is_there_or_not(former: int) -> None:
    payload = SERVER_HELLOS[0][1][:-1] + bytes((former,))
    with pytest.raises(RemoteProtocolError, match="former"):
        parse_server_hello(payload)


def test_a_reason_too_long_is_neither_made_nor_believed() -> None:
    with pytest.raises(LocalProtocolError, match="reason"):
        Refusal(Status.FULL, 0, "€" * 342)
    with pytest.raises(RemoteProtocolError, match="reason"):
        parse_server_hello(struct.pack("!BBQH", 1, 5, 0, 1025) + b"x" * 1025)


def test_a_reason_that_is_no_text_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="UTF-8"):
        parse_server_hello(struct.pack("!BBQH", 1, 5, 0, 1) + b"\xff")


def test_a_code_is_in_no_repr() -> None:
    assert "canary" not in repr(ClientHello(0, LEAST, code=b"canary"))


def test_grace_and_keepalive_are_the_lesser_and_the_rest_is_the_servers() -> None:
    wanted = Limits(initial_window=10, streams=20, grace=600, keepalive=20_000)
    allowed = Limits(initial_window=1, streams=2, grace=300, keepalive=30_000)
    assert negotiate(wanted, allowed) == Limits(1, 2, 300, 20_000)
    assert negotiate(allowed, wanted) == Limits(10, 20, 300, 20_000)


limits = st.builds(
    Limits, **{name: st.integers(least, most) for name, (least, most) in LIMIT_BOUNDS.items()}
)
capabilities = st.integers(0, 2**32 - 1).map(Capability)
moments = st.integers(0, 2**64 - 1)
client_hellos = st.builds(
    ClientHello,
    timestamp=moments,
    limits=limits,
    capabilities=capabilities,
    code=st.binary(max_size=255),
    former=st.binary(max_size=32),
)
welcomes = st.builds(
    ServerHello,
    session_id=st.binary(min_size=1, max_size=32),
    limits=limits,
    capabilities=capabilities,
    has_former=st.booleans(),
)
refusals = st.builds(
    Refusal, status=st.sampled_from(Status), time=moments, reason=st.text(max_size=256)
)


@given(client_hellos, st.binary(max_size=20))
def test_every_client_hello_comes_back(hello: ClientHello, behind: bytes) -> None:
    assert parse_client_hello(hello.encode() + behind) == hello


@given(welcomes | refusals, st.binary(max_size=20))
def test_every_server_hello_comes_back(hello: ServerHello | Refusal, behind: bytes) -> None:
    assert parse_server_hello(hello.encode() + behind) == hello


@given(st.binary(max_size=100))
def test_bytes_raise_nothing_else(data: bytes) -> None:
    for payload in (data, b"\x01" + data, b"\x01\x00" + data):
        with contextlib.suppress(RemoteProtocolError):
            parse_client_hello(payload)
        with contextlib.suppress(RemoteProtocolError):
            parse_server_hello(payload)


@given(
    st.sampled_from([payload for _, payload in [*CLIENT_HELLOS, *SERVER_HELLOS]]),
    st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_a_hello_that_was_altered_is_refused_or_says_just_what_its_bytes_say(
    payload: bytes, changes: list[tuple[int, int]]
) -> None:
    altered = bytearray(payload)
    for place, byte in changes:
        altered[place % len(altered)] = byte
    data = bytes(altered)
    with contextlib.suppress(RemoteProtocolError):
        client_hello = parse_client_hello(data)
        if isinstance(client_hello, ClientHello):
            assert data.startswith(client_hello.encode())
    with contextlib.suppress(RemoteProtocolError):
        server_hello = parse_server_hello(data)
        # Of a refusal the version may be any.
        assert data[1:].startswith(server_hello.encode()[1:])
