"""Sessions over carriers that die: what is sent again, acknowledged, kept, and how it all ends."""

from __future__ import annotations

import pytest

from tests.unit.protocol.session_pair import (
    ROOM,
    SESSION_ID,
    START,
    Dialogue,
    Pair,
    body_of,
    read_all,
)
from underpass.errors import RemoteProtocolError
from underpass.protocol.attach import make_attach, make_attached, parse_attach
from underpass.protocol.frame_codec import (
    encode_ack,
    encode_datagram,
    encode_open,
    encode_ping,
    encode_pong,
    encode_skip,
)
from underpass.protocol.frames import (
    Ack,
    Close,
    CloseCode,
    Datagram,
    Kind,
    Ping,
    Pong,
    Skip,
)
from underpass.protocol.record import EPOCH_RECORDS, MAX_RECORD_BYTES
from underpass.protocol.replay import MAX_AHEAD, MAX_RECORDS, MAX_SILENT
from underpass.protocol.session_events import (
    CarrierLost,
    CarrierStands,
    DatagramReceived,
    SessionClosed,
    SessionDetached,
    SessionEvent,
    StreamOffered,
    StreamReadable,
    StreamWasReset,
)
from underpass.protocol.session_state import SessionState
from underpass.protocol.stream_table import StreamLimits

STANDS = CarrierStands(0)
NONCE = bytes(16)
# Of a record, before its number.
LENGTH_BYTES = 3


def lost(events: list[SessionEvent]) -> list[int]:
    return [event.carrier for event in events if isinstance(event, CarrierLost)]


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


# --- attach


def test_another_carrier_joins_and_stands_once_something_came() -> None:
    pair = Pair()
    stream, number = pair.open(), pair.attach()
    assert pair.client.events() == [CarrierStands(number)]
    pair.client.streams.send(stream, b"over the second")
    pair.carry(pair.client, number)
    assert pair.server.events() == [CarrierStands(number), StreamReadable(stream)]


def test_records_may_follow_an_attach_at_once() -> None:
    pair = Pair()
    stream = pair.open()
    pair.drop(0)
    pair.client.streams.send(stream, b"early")
    number, message = pair.client.attach(NONCE, pair.now)
    records = pair.client.data_to_send(number, 1 << 16, pair.now)
    assert len(records) == 1
    pair.server.accept_attach(parse_attach(body_of(message)), pair.now)
    pair.server.receive_data(number, bytes(records[0]), pair.now)
    assert read_all(pair.server, stream) == b"early"


def test_an_attach_acknowledges_both_ways() -> None:
    pair = Pair()
    stream = pair.open()
    pair.wait(1)
    for end in (pair.client, pair.server):
        end.streams.send(stream, b"x")
        pair.carry(end)
    pair.drop(0)
    pair.attach()
    assert "0 records out" in repr(pair.client)
    assert "0 records out" in repr(pair.server)


def refused(pair: Pair, message: bytes) -> bool:
    """Whether the server refuses an attach, and is as before."""
    before = repr(pair.server), pair.server.carriers
    with pytest.raises(RemoteProtocolError):
        pair.server.accept_attach(parse_attach(body_of(message)), pair.now)
    return (repr(pair.server), pair.server.carriers) == before


def test_an_attach_counts_once() -> None:
    pair = Pair()
    number, message = pair.client.attach(NONCE, pair.now)
    pair.server.accept_attach(parse_attach(body_of(message)), pair.now)
    assert refused(pair, message)
    pair.drop(number)
    assert refused(pair, message)


@pytest.mark.parametrize("next_seq", [2, 2**63, 2**64 - 1])
def test_an_attach_that_acknowledges_what_was_never_sent_is_refused(next_seq: int) -> None:
    pair = Pair()
    pair.server.streams.open("a", 1)
    pair.carry(pair.server)
    assert refused(pair, make_attach(b"\x03" * 32, SESSION_ID, 1, NONCE, next_seq))


def test_the_id_alone_opens_nothing() -> None:
    pair = Pair()
    assert refused(pair, make_attach(bytes(32), SESSION_ID, 1, NONCE, 0))


def test_a_client_believes_only_its_own_server() -> None:
    pair = Pair()
    number, _ = pair.client.attach(NONCE, pair.now)
    key = b"\x03" * 32
    for wrong in (
        make_attached(bytes(32), number, 0, NONCE),
        make_attached(key, number + 1, 0, NONCE),
        make_attached(key, number, 0, b"\x01" * 16),
        make_attached(key, number, 99, NONCE),
    ):
        with pytest.raises(RemoteProtocolError):
            pair.client.receive_attached(number, body_of(wrong), pair.now)
    assert pair.client.events() == []
    right = body_of(make_attached(key, number, 0, NONCE))
    pair.client.receive_attached(number, right, pair.now)
    assert pair.client.events() == [CarrierStands(number)]
    pair.client.remove_carrier(number, pair.now)
    pair.client.receive_attached(number, right, pair.now)


def test_a_seventeenth_carrier_takes_the_place_of_the_most_silent() -> None:
    pair = Pair()
    for n in range(15):
        pair.now += 0.1
        assert pair.attach() == n + 1
    pair.now += 0.1
    pair.attach()
    assert lost(pair.client.events()) == lost(pair.server.events()) == [0]
    assert len(pair.client.carriers) == len(pair.server.carriers) == 16


# --- detached


def test_without_carriers_it_waits_for_the_grace_time() -> None:
    pair = Pair(grace=60)
    stream = pair.open()
    pair.drop(0)
    assert pair.client.events() == pair.server.events() == [SessionDetached()]
    assert pair.client.next_timer() == pair.now + 60
    pair.client.streams.send(stream, b"kept")
    pair.wait(59)
    pair.attach()
    pair.pump()
    assert read_all(pair.server, stream) == b"kept"
    assert pair.client.state is pair.server.state is SessionState.OPEN
    pair.wait(100)
    assert pair.client.state is SessionState.OPEN


def test_after_the_grace_time_it_ends_and_its_streams_are_reset() -> None:
    pair = Pair(grace=60)
    stream = pair.open()
    pair.drop(0)
    pair.wait(60)
    for end in (pair.client, pair.server):
        assert end.state is SessionState.CLOSED
        *_, reset, closed = end.events()
        assert reset == StreamWasReset(stream, 3)
        assert isinstance(closed, SessionClosed)
        assert closed.code == CloseCode.EXPIRED
        assert end.next_timer() is None
        assert end.data_to_send(0, 1 << 16, pair.now) == []


def test_an_attach_that_nobody_answers_prolongs_no_grace_time() -> None:
    pair = Pair(grace=60)
    pair.drop(0)
    end = pair.now + 60
    for _ in range(3):
        pair.now += 15
        number, _ = pair.client.attach(NONCE, pair.now)
        pair.client.remove_carrier(number, pair.now)
        assert pair.client.next_timer() == end
    pair.client.handle_timer(end)
    assert pair.client.state is SessionState.CLOSED


def test_a_carrier_that_is_removed_twice_is_gone_once() -> None:
    pair = Pair()
    pair.client.remove_carrier(0, pair.now)
    pair.client.remove_carrier(0, pair.now)
    assert pair.client.events() == [SessionDetached()]


def test_two_full_logs_do_not_wait_for_each_other() -> None:
    pair = Pair(StreamLimits(streams=MAX_RECORDS + 1))
    held: dict[bool, list[bytes]] = {True: [], False: []}
    for end in (pair.client, pair.server):
        for _ in range(MAX_RECORDS):
            end.streams.open("example.com", 443)
            held[end is pair.client] += end.data_to_send(0, ROOM, pair.now)
    assert [len(records) for records in held.values()] == [MAX_RECORDS, MAX_RECORDS]
    # Neither has room for anything, and only the other's acknowledgement can give it some.
    for end in (pair.client, pair.server):
        for record in held[end is pair.client]:
            pair.other(end).receive_data(0, record, pair.now)
    pair.wait(1.0)
    stream = pair.client.streams.open("example.com", 443)
    pair.pump()
    offers = [event for event in pair.server.events() if isinstance(event, StreamOffered)]
    assert (len(offers), offers[-1].stream) == (MAX_RECORDS + 1, stream)
