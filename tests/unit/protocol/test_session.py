"""Sessions over carriers: what is taken in, in what records it goes, and what is acknowledged."""

from __future__ import annotations

import pytest

from tests.unit.protocol.session_pair import ROOM, START, Dialogue, Pair, lost, read_all
from underpass.protocol.frame_codec import (
    encode_ack,
    encode_datagram,
    encode_open,
    encode_ping,
    encode_pong,
    encode_skip,
)
from underpass.protocol.frames import Ack, Close, CloseCode, Datagram, Kind, Ping, Pong
from underpass.protocol.record import EPOCH_RECORDS, MAX_RECORD_BYTES
from underpass.protocol.replay import MAX_AHEAD, MAX_SILENT
from underpass.protocol.session_events import (
    CarrierStands,
    DatagramReceived,
    SessionClosed,
    StreamOffered,
    StreamReadable,
)

STANDS = CarrierStands(0)
# Of a record, before its number.
LENGTH_BYTES = 3


def test_what_it_is_shows_and_no_key_with_it() -> None:
    pair = Pair()
    pair.client.streams.open("a", 1)
    pair.carry(pair.client)
    assert repr(pair.client) == "<Session client open, 1 carriers, 1 streams, 1 records out>"
    assert repr(pair.server) == "<Session server open, 1 carriers, 1 streams, 0 records out>"


# --- records


def test_a_record_is_taken_in_once_whatever_carrier_repeats_it() -> None:
    pair = Pair()
    stream, other = pair.open(), pair.attach()
    pair.client.streams.send(stream, b"once")
    (record,) = pair.carry(pair.client)
    for carrier in (0, other, other, 0):
        pair.server.receive_data(carrier, record, pair.now)
    assert [e for e in pair.server.events() if isinstance(e, StreamReadable)] == [(stream,)]
    assert read_all(pair.server, stream) == b"once"
    assert pair.server.carriers == (0, other)


def test_a_record_that_comes_twice_is_taken_in_once() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_open(1, Kind.DATAGRAMS, "a", 1))
    dialogue.session.streams.accept(1)
    record = dialogue.seal(encode_datagram(1, b"once"))
    dialogue.session.receive_data(0, record, START)
    assert dialogue.session.events() == [DatagramReceived(1, b"once")]
    dialogue.session.receive_data(0, record, START)
    assert dialogue.session.events() == []


def test_a_fin_alone_in_its_record_goes_again() -> None:
    pair = Pair()
    stream, other = pair.open(), pair.attach()
    pair.wait(1)
    pair.client.streams.finish(stream)
    assert len(pair.client.data_to_send(0, ROOM, pair.now)) == 1
    pair.drop(0)
    pair.pump()
    assert pair.server.carriers == (other,)
    assert pair.server.streams.read(stream, 1, pair.now) == b""


@pytest.mark.parametrize("place", [2, 5, 10, 11, 30])
def test_an_altered_record_costs_its_carrier_and_nothing_else(place: int) -> None:
    pair = Pair()
    stream, other = pair.open(), pair.attach()
    pair.client.streams.send(stream, b"altered on its way")
    record = bytearray(pair.client.data_to_send(0, 1 << 16, pair.now)[0])
    record[place] ^= 0x40
    # A length that was altered waits for bytes that do not come, or takes what follows.
    follows = bytes(70_000) if place < LENGTH_BYTES else b""
    pair.server.receive_data(0, bytes(record) + follows, pair.now)
    assert lost(pair.server.events()) == [0]
    assert pair.server.carriers == (other,)
    pair.client.remove_carrier(0, pair.now)
    pair.pump()
    assert read_all(pair.server, stream) == b"altered on its way"


def test_a_record_beyond_the_window_costs_its_carrier() -> None:
    dialogue = Dialogue()
    dialogue.sealer.next_seq = MAX_AHEAD
    assert lost(dialogue.say(encode_ping(1, 0))) == [0]
    dialogue = Dialogue()
    dialogue.sealer.next_seq = MAX_AHEAD - 1
    assert dialogue.say(encode_ping(1, 0)) == [STANDS]


def test_the_keys_change_at_the_border_of_epochs() -> None:
    dialogue = Dialogue()
    for start in range(0, EPOCH_RECORDS, MAX_AHEAD):
        dialogue.sealer.next_seq = start
        # But for the very last number of the epoch.
        dialogue.say(encode_skip(start, min(start + MAX_AHEAD, EPOCH_RECORDS - 1) - 1))
    dialogue.sealer.next_seq = EPOCH_RECORDS - 1
    old, new = dialogue.seal(encode_ping(1, 0)), dialogue.seal(encode_ping(2, 0))
    dialogue.session.receive_data(0, new, START)
    assert dialogue.heard()[-1] == Pong(2)
    dialogue.session.receive_data(0, old, START)
    assert dialogue.heard()[-1] == Pong(1)
    assert dialogue.session.carriers == (0,)


def test_bytes_come_in_any_pieces() -> None:
    pair = Pair()
    stream = pair.client.streams.open("a", 1)
    pair.client.streams.send(stream, b"byte by byte")
    for record in pair.client.data_to_send(0, 1 << 16, pair.now):
        for byte in record:
            pair.server.receive_data(0, bytes((byte,)), pair.now)
    assert StreamOffered(stream, 0, "a", 1) in pair.server.events()


def test_a_body_that_was_cut_does_not_spoil_the_next() -> None:
    pair = Pair()
    stream = pair.open()
    pair.client.streams.send(stream, b"first")
    (record,) = pair.client.data_to_send(0, 1 << 16, pair.now)
    pair.server.receive_data(0, bytes(record[:-3]), pair.now)
    pair.server.forget_partial(0)
    pair.server.forget_partial(99)
    pair.client.lost([record], pair.now)
    pair.pump()
    assert read_all(pair.server, stream) == b"first"


def test_no_record_is_larger_than_its_room_unless_it_goes_again() -> None:
    pair = Pair()
    stream = pair.open()
    pair.client.streams.send(stream, bytes(30_000))
    assert pair.client.data_to_send(0, 27 + 63, pair.now) == []
    records = pair.client.data_to_send(0, 10_000, pair.now)
    assert sum(map(len, records)) <= 10_000
    more = pair.client.data_to_send(0, 5_000, pair.now)
    pair.client.lost([*records, *more], pair.now)
    again = pair.client.data_to_send(0, 200, pair.now)
    assert again == records[:1]
    assert len(again[0]) <= MAX_RECORD_BYTES
    assert pair.client.data_to_send(0, 20_000, pair.now)[0] == more[0]


def test_no_number_is_sealed_twice_and_what_goes_again_is_the_same() -> None:
    pair = Pair()
    stream, seen = pair.open(), dict[bytes, bytes]()
    for n in range(20):
        carrier = pair.attach()
        pair.client.streams.send(stream, b"%d" % n * 100)
        for record in pair.client.data_to_send(carrier, 1 << 16, pair.now):
            assert seen.setdefault(bytes(record[3:11]), bytes(record)) == record
        pair.drop(carrier)
    assert len(seen) >= 20
    pair.pump()
    expected = b"".join(b"%d" % n * 100 for n in range(20))
    assert read_all(pair.server, stream) == expected


def test_a_carrier_that_is_not_there_neither_gives_nor_takes() -> None:
    pair = Pair()
    pair.client.streams.open("a", 1)
    assert pair.client.data_to_send(7, 1 << 16, pair.now) == []
    pair.server.receive_data(7, bytes(100), pair.now)
    assert pair.server.events() == []


# --- acknowledgement


def test_it_is_acknowledged_within_25_ms() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_ping(0, 0))
    assert dialogue.heard() == []
    assert dialogue.session.next_timer() == START + 0.025
    dialogue.now = START + 0.0249
    assert dialogue.heard() == []
    dialogue.now = START + 0.025
    dialogue.session.handle_timer(dialogue.now)
    assert dialogue.heard() == [Ack(250, 1, ())]


def test_it_is_acknowledged_after_128_records() -> None:
    dialogue = Dialogue()
    for _ in range(127):
        dialogue.say(encode_ping(0, 0))
        assert dialogue.heard() == []
    dialogue.say(encode_ping(0, 0))
    assert dialogue.heard() == [Ack(0, 128, ())]


def test_it_is_acknowledged_after_1_mib() -> None:
    dialogue = Dialogue()
    for _ in range(16):
        assert dialogue.heard() == []
        dialogue.say(encode_ping(0, 0), bytes(65_527))
    assert dialogue.heard() == [Ack(0, 16, ())]


def test_what_elicits_nothing_is_not_acknowledged_for_itself() -> None:
    dialogue = Dialogue()
    for _ in range(300):
        dialogue.say(encode_pong(1), encode_datagram(1, b"x"), encode_ack(Ack(0, 0, ())))
    assert dialogue.heard() == []
    assert dialogue.session.next_timer() == START + 30


def test_an_acknowledgement_rides_along() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_open(1, 0, "a", 1))
    dialogue.session.streams.accept(1)
    frames = dialogue.heard()
    assert frames[0] == Ack(0, 1, ())
    assert len(frames) == 2


def test_the_delay_follows_what_acknowledgements_tell() -> None:
    dialogue = Dialogue(is_client=True)
    before = dialogue.session.streams.delay
    dialogue.session.streams.open("a", 1)
    dialogue.heard()
    dialogue.now += 0.9
    dialogue.say(encode_ack(Ack(0, 1, ())))
    assert dialogue.session.streams.delay == pytest.approx(before + (0.9 - before) / 8)


@pytest.mark.parametrize(("size", "count"), [(65_521, 400), (64, 20_000)])
def test_acknowledgements_cost_less_than_a_percent_of_what_goes_one_way(
    size: int, count: int
) -> None:
    pair = Pair()
    stream, data = pair.open(), bytes(size)
    there = back = 0
    for n in range(count):
        pair.now = START + n * 1e-5
        pair.client.streams.send(stream, data)
        there += sum(map(len, pair.carry(pair.client)))
        read_all(pair.server, stream, pair.now)
        back += sum(map(len, pair.carry(pair.server)))
    assert there >= count * size
    assert back < there / 100


def test_records_that_elicit_nothing_are_acknowledged_in_the_end() -> None:
    pair = Pair()
    stream = pair.open(kind=Kind.DATAGRAMS)
    pair.wait(1)
    for _ in range(MAX_SILENT + 1):
        pair.client.streams.send_datagram(stream, b"x", pair.now)
        pair.carry(pair.client)
        pair.server.events()
    pair.wait(1)
    assert "0 records out" in repr(pair.client)


def test_a_ping_added_to_a_full_record_does_not_burst_it() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_open(1, 1, "a", 1))
    dialogue.session.streams.accept(1)
    dialogue.heard()
    for _ in range(MAX_SILENT):
        dialogue.session.streams.send_datagram(1, b"x", START)
        assert dialogue.heard() == [Datagram(1, b"x")]
    for size in (65_000, 522):
        dialogue.session.streams.send_datagram(1, bytes(size), START)
    first, second = dialogue.records()
    assert first == [Ping(0, 0), Datagram(1, bytes(65_000))]
    assert second == [Datagram(1, bytes(522))]


def test_a_repeated_record_is_acknowledged_again() -> None:
    dialogue = Dialogue()
    record = dialogue.seal(encode_ping(0, 0))
    for at in (START, START + 1):
        dialogue.session.receive_data(0, record, at)
        dialogue.now = at + 0.025
        assert [type(frame) for frame in dialogue.heard()] == [Ack]


def test_an_acknowledgement_that_is_due_wakes_nobody_over_and_over() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_ping(0, 0))
    dialogue.now = START + 0.025
    dialogue.session.handle_timer(dialogue.now)
    # The carrier has no room, so it waits.
    timer = dialogue.session.next_timer()
    assert timer is not None
    assert timer > dialogue.now


def test_much_to_acknowledge_is_no_sign_of_sleep() -> None:
    dialogue = Dialogue()
    for _ in range(200):
        dialogue.say(encode_ping(0, 0))
    dialogue.session.next_timer()
    dialogue.session.handle_timer(START)
    assert dialogue.heard() == [Ack(0, 200, ())]


@pytest.mark.parametrize(
    "frame",
    [
        encode_ack(Ack(0, 1, ())),
        encode_ack(Ack(0, 0, ((5, 9),))),
        encode_ack(Ack(0, 2**64 - 1, ())),
        encode_skip(0, MAX_AHEAD + 1),
        encode_skip(2**63, 2**64 - 1),
    ],
)
def test_an_ack_or_skip_that_can_not_be_ends_the_session(frame: bytes) -> None:
    dialogue = Dialogue()
    assert isinstance(dialogue.say(frame)[-1], SessionClosed)
    (close,) = dialogue.heard()
    assert isinstance(close, Close)
    assert close.code == CloseCode.PROTOCOL
