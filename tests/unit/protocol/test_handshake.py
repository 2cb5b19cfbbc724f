"""Two ends shake hands; whatever is not the other end's own word ends it, and nothing else does."""

from __future__ import annotations

import dataclasses
import hmac
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors.make import (
    CLIENT_EPHEMERAL,
    CLIENT_STATIC,
    HELLO,
    SERVER_EPHEMERAL,
    SERVER_STATIC,
    WELCOME,
    greeted,
    opened,
)
from underpass.errors import LocalProtocolError, RemoteProtocolError
from underpass.protocol.handshake import (
    PROLOGUE,
    ClientHandshake,
    ServerHandshake,
    SessionKeys,
    Welcome,
)
from underpass.protocol.hello import OtherHello, Refusal, ServerHello, Status
from underpass.protocol.noise import HandshakeState, public_key
from underpass.protocol.opening import Kind, Opening
from underpass.protocol.replay_guard import ReplayGuard, Verdict


def client() -> ClientHandshake:
    return ClientHandshake(CLIENT_STATIC, public_key(SERVER_STATIC), HELLO, CLIENT_EPHEMERAL)


def noise_hello(payload: bytes) -> tuple[HandshakeState, bytes]:
    """A client that says what it likes under a valid seal: its state, and the body of its HELLO."""
    noise = HandshakeState(PROLOGUE, CLIENT_STATIC, public_key(SERVER_STATIC))
    return noise, noise.write_message(CLIENT_EPHEMERAL, payload)


def test_a_client_and_a_server_agree() -> None:
    one, server = client(), ServerHandshake(SERVER_STATIC)
    hello = opened(one.message)
    assert hello.kind is Kind.HELLO
    received = server.receive(hello.body)
    assert received.client_key == public_key(CLIENT_STATIC)
    assert received.ephemeral == public_key(CLIENT_EPHEMERAL)
    assert received.hello == HELLO
    message, keys = server.welcome(WELCOME, SERVER_EPHEMERAL)
    answer = opened(message)
    assert answer.kind is Kind.WELCOME
    assert one.receive(answer.body) == Welcome(
        WELCOME, SessionKeys(send=keys.receive, receive=keys.send, attach=keys.attach)
    )
    assert len({keys.send, keys.receive, keys.attach}) == 3


def test_the_keys_come_from_split_and_the_handshake_hash() -> None:
    noise, body = noise_hello(HELLO.encode())
    server = ServerHandshake(SERVER_STATIC)
    server.receive(body)
    message, keys = server.welcome(WELCOME, SERVER_EPHEMERAL)
    noise.read_message(opened(message).body)
    assert (keys.receive, keys.send) == noise.split()
    secret = hmac.digest(noise.handshake_hash, keys.receive + keys.send, "sha256")
    assert keys.attach == hmac.digest(secret, b"underpass attach 1\x01", "sha256")


@pytest.mark.parametrize("status", Status)
def test_a_refusal_comes_as_a_value(status: Status) -> None:
    one, server = greeted()
    message = server.refuse(status, 1_234, "because", SERVER_EPHEMERAL)
    answer = opened(message)
    assert answer.kind is Kind.WELCOME
    assert one.receive(answer.body) == Refusal(status, 1_234, "because")


def test_other_ephemeral_keys_make_other_session_keys() -> None:
    _, server = greeted()
    _, first = server.welcome(WELCOME, SERVER_EPHEMERAL)
    _, server = greeted()
    _, second = server.welcome(WELCOME, b"\x45" * 32)
    assert not set(dataclasses.astuple(first)) & set(dataclasses.astuple(second))


def test_no_key_is_in_a_repr() -> None:
    one, server = greeted()
    message, keys = server.welcome(WELCOME, SERVER_EPHEMERAL)
    assert repr(keys) == "SessionKeys()"
    assert "SessionKeys()" in repr(one.receive(opened(message).body))


def test_a_hello_with_any_byte_changed_is_refused() -> None:
    body = bytearray(opened(client().message).body)
    for place in range(len(body)):
        body[place] ^= 0x80
        with pytest.raises(RemoteProtocolError):
            ServerHandshake(SERVER_STATIC).receive(bytes(body))
        body[place] ^= 0x80


@pytest.mark.parametrize("refused", [False, True])
def test_an_answer_with_any_byte_changed_is_refused(refused: bool) -> None:
    _, server = greeted()
    if refused:
        message = server.refuse(Status.FULL, 0, "full", SERVER_EPHEMERAL)
    else:
        message, _ = server.welcome(WELCOME, SERVER_EPHEMERAL)
    body = bytearray(opened(message).body)
    for place in range(len(body)):
        body[place] ^= 0x80
        with pytest.raises(RemoteProtocolError):
            client().receive(bytes(body))
        body[place] ^= 0x80


def test_a_body_cut_or_drawn_out_is_refused() -> None:
    one, server = greeted()
    hello = opened(one.message).body
    answer = opened(server.welcome(WELCOME, SERVER_EPHEMERAL)[0]).body
    for body in [hello[:size] for size in range(len(hello))] + [hello + b"\0"]:
        with pytest.raises(RemoteProtocolError):
            ServerHandshake(SERVER_STATIC).receive(body)
    for body in [answer[:size] for size in range(0, len(answer), 7)] + [answer + b"\0"]:
        with pytest.raises(RemoteProtocolError):
            client().receive(body)


def test_a_hello_for_another_server_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        ServerHandshake(b"\x34" * 32).receive(opened(client().message).body)


def test_another_client_is_known_by_its_own_key() -> None:
    other = ClientHandshake(b"\x12" * 32, public_key(SERVER_STATIC), HELLO, CLIENT_EPHEMERAL)
    received = ServerHandshake(SERVER_STATIC).receive(opened(other.message).body)
    assert received.client_key == public_key(b"\x12" * 32)


def test_an_answer_to_another_hello_is_refused() -> None:
    other = ClientHandshake(CLIENT_STATIC, public_key(SERVER_STATIC), HELLO, b"\x23" * 32)
    _, server = greeted()
    message, _ = server.welcome(WELCOME, SERVER_EPHEMERAL)
    with pytest.raises(RemoteProtocolError):
        other.receive(opened(message).body)


def test_a_hello_sent_back_is_no_answer() -> None:
    one = client()
    with pytest.raises(RemoteProtocolError):
        one.receive(opened(one.message).body)


@pytest.mark.parametrize("name", ["grace", "keepalive"])
def test_a_server_may_not_go_beyond_what_the_client_wanted(name: str) -> None:
    one, server = greeted()
    beyond = dataclasses.replace(HELLO.limits, **{name: getattr(HELLO.limits, name) + 1})
    message, _ = server.welcome(ServerHello(b"id", beyond), SERVER_EPHEMERAL)
    with pytest.raises(RemoteProtocolError, match="beyond what the client wanted"):
        one.receive(opened(message).body)


def test_a_server_may_give_just_what_the_client_wanted() -> None:
    one, server = greeted()
    message, _ = server.welcome(ServerHello(b"id", HELLO.limits), SERVER_EPHEMERAL)
    assert isinstance(one.receive(opened(message).body), Welcome)


@pytest.mark.parametrize("payload", [b"", b"\x01", HELLO.encode()[:-1], b"\x01" + b"\xff" * 60])
def test_a_malformed_hello_under_a_valid_seal_is_refused(payload: bytes) -> None:
    _, body = noise_hello(payload)
    with pytest.raises(RemoteProtocolError):
        ServerHandshake(SERVER_STATIC).receive(body)


def test_a_hello_of_another_version_is_refused_with_that_status() -> None:
    noise, body = noise_hello(b"\x02" + HELLO.encode()[1:])
    server = ServerHandshake(SERVER_STATIC)
    assert server.receive(body).hello == OtherHello(2, HELLO.timestamp)
    message = server.refuse(Status.VERSION, 5, "speak 1", SERVER_EPHEMERAL)
    answer = noise.read_message(opened(message).body)
    assert answer == Refusal(Status.VERSION, 5, "speak 1").encode()


@pytest.mark.parametrize("payload", [b"", b"\x01\x00", b"\x01\x07" + bytes(10)])
def test_a_malformed_answer_under_a_valid_seal_is_refused(payload: bytes) -> None:
    one = client()
    server = HandshakeState(PROLOGUE, SERVER_STATIC)
    server.read_message(opened(one.message).body)
    with pytest.raises(RemoteProtocolError):
        one.receive(server.write_message(SERVER_EPHEMERAL, payload))


def test_a_replayed_hello_is_known_by_its_ephemeral_key() -> None:
    guard = ReplayGuard()
    body = opened(client().message).body
    verdicts = []
    for _ in range(2):
        received = ServerHandshake(SERVER_STATIC).receive(body)
        verdicts.append(
            guard.admit(received.ephemeral, received.hello.timestamp, HELLO.timestamp + 50)
        )
    assert verdicts == [Verdict.FRESH, Verdict.REPLAYED]


def test_a_handshake_is_answered_once() -> None:
    _, server = greeted()
    server.welcome(WELCOME, SERVER_EPHEMERAL)
    with pytest.raises(LocalProtocolError, match="turn"):
        server.refuse(Status.FULL, 0, "", SERVER_EPHEMERAL)


def test_an_answer_is_read_once() -> None:
    one, server = greeted()
    message, _ = server.welcome(WELCOME, SERVER_EPHEMERAL)
    one.receive(opened(message).body)
    with pytest.raises(LocalProtocolError, match="turn"):
        one.receive(opened(message).body)


def test_the_longest_messages_fit_an_opening() -> None:
    hello = dataclasses.replace(HELLO, code=bytes(255), former=bytes(32))
    one = ClientHandshake(CLIENT_STATIC, public_key(SERVER_STATIC), hello, CLIENT_EPHEMERAL)
    server = ServerHandshake(SERVER_STATIC)
    assert server.receive(opened(one.message).body).hello == hello
    opened(server.refuse(Status.FULL, 0, "x" * 1024, SERVER_EPHEMERAL))


def test_a_strangers_hello_leaves_nothing_behind() -> None:
    server = ServerHandshake(SERVER_STATIC)
    tracemalloc.start()
    try:
        with pytest.raises(RemoteProtocolError):
            server.receive(bytes(range(1, 33)) + bytes(4064))
        assert tracemalloc.get_traced_memory()[1] < 65_536
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=200))
def test_bytes_raise_nothing_else(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        ServerHandshake(SERVER_STATIC).receive(data)
    with pytest.raises(RemoteProtocolError):
        client().receive(data)


def test_the_prologue_names_the_protocol_and_its_version() -> None:
    assert PROLOGUE == b"underpass\x01"
    assert Opening(Kind.HELLO, noise_hello(HELLO.encode())[1]).encode() == client().message
