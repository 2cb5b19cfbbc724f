"""Handshakes of one client with one server."""

from __future__ import annotations

import os

import pytest

from underpass.errors import RemoteProtocolError
from underpass.protocol.handshake import ClientHandshake, ServerHandshake
from underpass.protocol.hello import ClientHello, Limits, ServerHello, Status, negotiate
from underpass.protocol.noise import public_key
from underpass.protocol.opening import Kind, Opening, OpeningReader
from underpass.tunnel.greeting import (
    WANTED,
    ClientIdentity,
    Greeter,
    HandshakeRefused,
    read_answer,
)

SERVER = os.urandom(32)
ALLOWED = Limits(initial_window=1000, streams=7, grace=60, keepalive=10_000)


def greeter(code: bytes = b"", wall: float = 1000.0) -> Greeter:
    identity = ClientIdentity(os.urandom(32), public_key(SERVER), code)
    return Greeter(identity, wall=lambda: wall)


def received(handshake: ClientHandshake) -> tuple[ServerHandshake, ClientHello]:
    found = OpeningReader().receive_data(handshake.message)
    assert found is not None
    server = ServerHandshake(SERVER)
    hello = server.receive(found[0].body).hello
    assert isinstance(hello, ClientHello)
    return server, hello


def test_a_hello_says_what_the_client_is_and_wants() -> None:
    _, hello = received(greeter(b"secret code").hello(b"former"))
    assert (hello.code, hello.former, hello.timestamp) == (b"secret code", b"former", 1_000_000)
    assert hello.limits == WANTED


def test_a_welcome_begins_a_session_on_its_terms() -> None:
    one = greeter()
    handshake = one.hello()
    server, hello = received(handshake)
    answer = ServerHello(b"id", negotiate(hello.limits, ALLOWED), has_former=True)
    message, _ = server.welcome(answer, os.urandom(32))
    greeted = one.welcomed(handshake, read_answer(message), 5.0)
    assert greeted.has_former
    terms = greeted.session.terms
    assert (terms.session_id, terms.grace, terms.keepalive) == (b"id", 60, 10.0)
    assert (terms.other.streams, terms.own.streams) == (7, WANTED.streams)
    assert greeted.session.carriers == (0,)


def test_a_refusal_has_the_servers_words() -> None:
    one = greeter()
    handshake = one.hello()
    server, _ = received(handshake)
    message = server.refuse(Status.USER, 1, "not known here", os.urandom(32))
    with pytest.raises(HandshakeRefused, match="not known here") as caught:
        one.welcomed(handshake, read_answer(message), 0.0)
    assert (caught.value.status, caught.value.reason) == (Status.USER, "not known here")


def test_a_wrong_clock_is_corrected_by_the_servers() -> None:
    one = greeter(wall=1000.0)
    handshake = one.hello()
    server, _ = received(handshake)
    message = server.refuse(Status.CLOCK, 7_000_000, "clock", os.urandom(32))
    with pytest.raises(HandshakeRefused):
        one.welcomed(handshake, read_answer(message), 0.0)
    _, hello = received(one.hello())
    assert hello.timestamp == 7_000_000


@pytest.mark.parametrize(
    ("said", "timestamp"), [([9_000_000, 7_000_000], 7_000_000), ([2**64 - 1], 2**64 - 1), ([0], 0)]
)
def test_the_last_word_on_the_clock_counts(said: list[int], timestamp: int) -> None:
    wall = [1000.0]
    one = Greeter(ClientIdentity(os.urandom(32), public_key(SERVER)), wall=lambda: wall[0])
    for time in said:
        handshake = one.hello()
        server, _ = received(handshake)
        message = server.refuse(Status.CLOCK, time, "clock", os.urandom(32))
        with pytest.raises(HandshakeRefused):
            one.welcomed(handshake, read_answer(message), 0.0)
    _, hello = received(one.hello())
    assert hello.timestamp == timestamp
    if timestamp == 2**64 - 1:
        wall[0] += 10
        assert received(one.hello())[1].timestamp == timestamp


def test_an_answer_of_somebody_else_is_refused() -> None:
    one = greeter()
    server, hello = received(one.hello())
    message, _ = server.welcome(ServerHello(b"id", hello.limits), os.urandom(32))
    with pytest.raises(RemoteProtocolError):
        one.welcomed(one.hello(), read_answer(message), 0.0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        Opening(Kind.HELLO, b"x").encode(),
        Opening(Kind.UNKNOWN, b"x").encode() + b"more",
        Opening(Kind.UNKNOWN, b"x").encode()[:-1],
    ],
)
def test_what_is_no_whole_answer_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read_answer(data)


def test_no_secret_is_printed() -> None:
    identity = ClientIdentity(b"\x01" * 32, public_key(SERVER), b"secret code")
    assert "secret" not in repr(identity)
    # The public key beside it is any bytes: a single one proves nothing.
    assert "\\x01\\x01" not in repr(identity)
