"""A box that repeats, alters and guesses, without the session's key."""

from __future__ import annotations

import secrets

import pytest

from tests.unit.protocol.session_pair import (
    ATTACH_KEY,
    SESSION_ID,
    Dialogue,
    Pair,
    body_of,
    read_all,
)
from tests.vectors.make import (
    CLIENT_EPHEMERAL,
    CLIENT_STATIC,
    HELLO,
    SERVER_STATIC,
    opened,
)
from underpass.errors import RemoteProtocolError
from underpass.protocol.attach import make_attach, parse_attach
from underpass.protocol.frame_codec import encode_open, encode_ping
from underpass.protocol.handshake import ClientHandshake, ServerHandshake
from underpass.protocol.hello import ClientHello
from underpass.protocol.noise import public_key
from underpass.protocol.replay_guard import ReplayGuard, Verdict
from underpass.protocol.session_events import CarrierLost


def test_a_hello_that_is_repeated_is_told() -> None:
    """The server opens it, and knows its ephemeral key before it spends anything on it."""
    guard, verdicts = ReplayGuard(), []
    message = ClientHandshake(
        CLIENT_STATIC, public_key(SERVER_STATIC), HELLO, CLIENT_EPHEMERAL
    ).message
    for late in (0, 1_000, 299_000, 601_000):
        received = ServerHandshake(SERVER_STATIC).receive(opened(message).body)
        assert isinstance(received.hello, ClientHello)
        now = HELLO.timestamp + late
        verdicts.append(guard.admit(received.ephemeral, received.hello.timestamp, now))
    assert verdicts == [Verdict.FRESH, *[Verdict.REPLAYED] * 2, Verdict.CLOCK]


def test_an_attach_that_is_repeated_moves_nothing() -> None:
    pair = Pair()
    stream = pair.open()
    number, message = pair.client.attach(bytes(16), pair.now)
    attach = parse_attach(body_of(message))
    pair.server.accept_attach(attach, pair.now)
    pair.drop(number)
    for _ in range(1000):
        with pytest.raises(RemoteProtocolError, match="has been used"):
            pair.server.accept_attach(attach, pair.now)
    assert pair.server.carriers == (0,)
    pair.client.streams.send(stream, b"undisturbed")
    pair.pump()
    assert read_all(pair.server, stream) == b"undisturbed"


@pytest.mark.parametrize("number", [0, 1, 2**32 - 1])
@pytest.mark.parametrize("next_seq", [0, 1, 2**63, 2**64 - 1])
def test_the_id_alone_opens_nothing(number: int, next_seq: int) -> None:
    pair = Pair()
    stream, before = pair.open(), pair.server.carriers
    guess = make_attach(secrets.token_bytes(32), SESSION_ID, number, bytes(16), next_seq)
    with pytest.raises(RemoteProtocolError, match="does not prove"):
        pair.server.accept_attach(parse_attach(body_of(guess)), pair.now)
    assert pair.server.carriers == before
    pair.client.streams.send(stream, b"undisturbed")
    pair.pump()
    assert read_all(pair.server, stream) == b"undisturbed"


@pytest.mark.parametrize("next_seq", [5, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1])
def test_an_offset_that_can_not_be_costs_that_attach_alone(next_seq: int) -> None:
    pair = Pair()
    stream = pair.open()
    pair.drop(0)
    wrong = make_attach(ATTACH_KEY, SESSION_ID, 7, bytes(16), next_seq)
    with pytest.raises(RemoteProtocolError, match="never sent"):
        pair.server.accept_attach(parse_attach(body_of(wrong)), pair.now)
    assert pair.server.carriers == ()
    right = pair.attach()
    pair.client.streams.send(stream, b"resumed")
    pair.carry(pair.client, right)
    assert read_all(pair.server, stream) == b"resumed"


def test_an_offset_of_long_ago_is_old_news() -> None:
    pair = Pair()
    stream = pair.open()
    old = make_attach(ATTACH_KEY, SESSION_ID, 7, bytes(16), 0)
    pair.server.accept_attach(parse_attach(body_of(old)), pair.now)
    pair.server.streams.send(stream, b"still in order")
    pair.pump()
    assert read_all(pair.client, stream) == b"still in order"


def test_records_that_are_repeated_on_any_carrier_do_nothing_twice() -> None:
    pair = Pair()
    stream, other, kept = pair.open(), pair.attach(), list[bytes]()
    for n in range(200):
        pair.client.streams.send(stream, b"%d," % n)
        kept += pair.carry(pair.client, (0, other)[n % 2])
    for carrier in (other, 0, other):
        for record in reversed(kept):
            pair.server.receive_data(carrier, record, pair.now)
    pair.wait(1)
    assert read_all(pair.server, stream) == b"".join(b"%d," % n for n in range(200))
    assert pair.server.carriers == pair.client.carriers == (0, other)


def test_a_flood_of_old_records_is_answered_with_few_bytes() -> None:
    dialogue = Dialogue()
    record = dialogue.seal(encode_ping(0, 0))
    came = sent = 0
    for _ in range(10_000):
        dialogue.session.receive_data(0, record, dialogue.now)
        came += len(record)
        sent += sum(map(len, dialogue.session.data_to_send(0, 1 << 20, dialogue.now)))
    assert sent < came / 20


def test_old_numbers_without_a_seal_keep_no_carrier_alive() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_ping(0, 0))
    junk = (25).to_bytes(3, "big") + bytes(25)
    for _ in range(59):
        dialogue.now += 1
        dialogue.session.receive_data(0, junk, dialogue.now)
        dialogue.session.handle_timer(dialogue.now)
        dialogue.heard()
    assert dialogue.session.carriers == (0,)
    dialogue.now += 1
    dialogue.session.handle_timer(dialogue.now)
    assert any(isinstance(event, CarrierLost) for event in dialogue.session.events())


def test_a_record_of_one_direction_does_not_open_in_the_other() -> None:
    pair = Pair()
    pair.client.streams.open("a", 1)
    (record,) = pair.client.data_to_send(0, 1 << 16, pair.now)
    pair.client.receive_data(0, bytes(record), pair.now)
    assert [e for e in pair.client.events() if isinstance(e, CarrierLost)]


def test_a_record_of_one_session_does_not_open_in_another() -> None:
    dialogue, stranger = Dialogue(), Dialogue()
    stranger.sealer = type(stranger.sealer)(secrets.token_bytes(32))
    record = stranger.seal(encode_open(1, 0, "a", 1))
    dialogue.session.receive_data(0, record, dialogue.now)
    (lost, _) = dialogue.session.events()
    assert isinstance(lost, CarrierLost)
    assert len(dialogue.session.streams) == 0
