"""Records that are lost, carriers that fall silent, and machines that sleep."""

from __future__ import annotations

from tests.unit.protocol.session_pair import (
    SESSION_ID,
    START,
    Dialogue,
    Pair,
    body_of,
    lost,
    read_all,
)
from underpass.protocol.attach import make_attach, parse_attach
from underpass.protocol.frame_codec import encode_open, encode_ping, encode_pong
from underpass.protocol.frames import Ack, Datagram, Ping, Pong, Skip
from underpass.protocol.session_events import CarrierStands

STANDS = CarrierStands(0)
NONCE = bytes(16)


# --- loss


def test_what_was_on_a_dead_carrier_goes_again_on_another() -> None:
    pair = Pair()
    stream, other = pair.open(), pair.attach()
    pair.client.streams.send(stream, b"a" * 100)
    first = pair.client.data_to_send(0, 1 << 16, pair.now)
    pair.client.streams.send(stream, b"b" * 100)
    second = pair.client.data_to_send(other, 1 << 16, pair.now)
    pair.drop(0)
    assert pair.client.data_to_send(other, 1 << 16, pair.now) == first
    for record in (*second, *first):
        pair.server.receive_data(other, bytes(record), pair.now)
    assert read_all(pair.server, stream) == b"a" * 100 + b"b" * 100


def test_what_was_overtaken_goes_again_after_a_second() -> None:
    pair = Pair()
    stream = pair.open()
    pair.wait(1)
    pair.client.streams.send(stream, b"lost")
    (gone,) = pair.client.data_to_send(0, 1 << 16, pair.now)
    pair.client.streams.send(stream, b" and found")
    pair.carry(pair.client)
    pair.wait(0.5)
    assert read_all(pair.server, stream) == b""
    pair.wait(2.5)
    assert read_all(pair.server, stream) == b"lost and found"
    assert pair.client.carriers == pair.server.carriers == (0,)
    assert len(gone) > 0


def test_records_that_elicit_nothing_are_skipped() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_open(1, 1, "a", 1))
    dialogue.session.streams.accept(1)
    dialogue.heard()
    dialogue.session.streams.send_datagram(1, b"gone", START)
    assert dialogue.heard() == [Datagram(1, b"gone")]
    number, _ = (
        1,
        dialogue.session.accept_attach(
            parse_attach(body_of(make_attach(b"\x03" * 32, SESSION_ID, 1, NONCE, 1))), START
        ),
    )
    dialogue.session.remove_carrier(0, START)
    (frames,) = dialogue.records(number)
    assert Skip(1, 1) in frames
    assert not [frame for frame in frames if isinstance(frame, Datagram)]


def test_what_is_stuck_for_a_minute_costs_its_carrier() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_open(1, 0, "a", 1))
    dialogue.session.streams.accept(1)
    dialogue.heard()
    for second in range(1, 70):
        dialogue.now = START + second
        dialogue.session.handle_timer(dialogue.now)
        if lost(dialogue.say(encode_pong(1))):
            break
    assert second == 61


# --- keepalive and sleep


def test_a_silent_carrier_is_asked_and_answers() -> None:
    pair = Pair(keepalive=10)
    pair.wait(100)
    assert pair.client.carriers == pair.server.carriers == (0,)
    assert pair.client.events() == pair.server.events() == [STANDS]


def test_a_ping_says_how_often_it_comes() -> None:
    dialogue = Dialogue()
    dialogue.now = START + 30
    dialogue.session.handle_timer(dialogue.now)
    assert dialogue.heard() == [Ping(1, 30_000)]
    dialogue.session.lower_keepalive(0, 5.0)
    dialogue.session.lower_keepalive(9, 5.0)
    assert dialogue.heard() == [Ping(2, 5_000)]


def test_a_dead_carrier_is_found_within_two_intervals() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_ping(1, 4_000))
    dialogue.heard()
    assert dialogue.session.next_timer() == START + 4
    for at, dead in ((4.0, []), (7.9, []), (8.0, [0])):
        dialogue.now = START + at
        dialogue.session.handle_timer(dialogue.now)
        assert lost(dialogue.session.events()) == dead
        dialogue.heard()


def test_a_ping_is_answered_on_its_carrier_and_only_the_latest() -> None:
    pair_of = Dialogue()
    pair_of.say(encode_ping(5, 0), encode_ping(6, 0))
    assert pair_of.heard(carrier=3) == []
    assert pair_of.heard() == [Ack(0, 1, ()), Pong(6)]
    assert pair_of.heard() == []


def test_after_sleep_every_carrier_is_asked_at_once() -> None:
    pair = Pair()
    other = pair.attach()
    pair.pump()
    pair.client.next_timer()
    pair.now += 1000
    pair.client.handle_timer(pair.now)
    assert lost(pair.client.events()) == []
    assert len(pair.client.data_to_send(0, 1 << 16, pair.now)) == 1
    pair.carry(pair.client, other)
    pair.carry(pair.server, other)
    assert pair.client.next_timer() > pair.now  # type: ignore[operator]  # there are carriers
    pair.client.handle_timer(pair.now + 3)
    assert lost(pair.client.events()) == [0]
    assert pair.client.carriers == (other,)


def test_a_timer_that_is_a_little_late_is_no_sleep() -> None:
    pair = Pair()
    pair.client.next_timer()
    pair.client.handle_timer(START + 30 + 9.9)
    assert len(pair.client.data_to_send(0, 1 << 16, START + 39.9)) == 1
    pair.client.handle_timer(START + 43)
    assert lost(pair.client.events()) == []
