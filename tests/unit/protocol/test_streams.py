"""Streams between two sessions as dialogues."""

from __future__ import annotations

import pytest

from tests.unit.protocol.session_pair import START, Dialogue, Pair, data_of, read_all
from underpass.errors import Failure, LocalProtocolError, RemoteProtocolError
from underpass.protocol.frame_codec import (
    encode_data,
    encode_datagram,
    encode_fin,
    encode_open,
    encode_opened,
    encode_refused,
    encode_reset,
    encode_window,
)
from underpass.protocol.frames import Fin, Kind, Open, Opened, Refused, Reset, ResetCode
from underpass.protocol.session_events import (
    CarrierStands,
    StreamOffered,
    StreamOpened,
    StreamReadable,
    StreamRefused,
    StreamWasReset,
)
from underpass.protocol.session_state import SessionState
from underpass.protocol.session_terms import SessionTerms
from underpass.protocol.stream_table import StreamLimits

WINDOW = StreamLimits().initial_window
STANDS = CarrierStands(0)


# --- opening


def test_data_follows_open_at_once_and_is_there_when_it_is_accepted() -> None:
    pair = Pair()
    stream = pair.client.streams.open("example.com", 443)
    pair.client.streams.send(stream, b"hello")
    pair.client.streams.finish(stream)
    (record,) = pair.carry(pair.client)
    assert len(record) < 100
    offered = StreamOffered(stream, Kind.BYTES, "example.com", 443)
    assert pair.server.events() == [STANDS, offered]
    pair.server.streams.accept(stream, "10.0.0.1:5")
    assert pair.server.events() == [StreamReadable(stream)]
    pair.pump()
    assert pair.client.events() == [STANDS, StreamOpened(stream, "10.0.0.1:5")]
    assert pair.server.streams.read(stream, 3, pair.now) == b"hel"
    assert pair.server.streams.read(stream, 9, pair.now) == b"lo"
    assert pair.server.streams.read(stream, 9, pair.now) == b""


def test_a_stream_with_much_to_send_waits_for_its_turn_once() -> None:
    streams = Pair().client.streams
    stream = streams.open("example.com", 443)
    streams.send(stream, b"one")
    streams.send(stream, b"two")
    streams.finish(stream)
    assert len(streams.outgoing.scheduler) == 1


def test_what_waits_is_read_at_once_and_its_end_with_it() -> None:
    pair = Pair()
    stream = pair.open()
    streams = pair.server.streams
    assert streams.read_waiting(stream, 9, pair.now) == ([], False)
    for data in (b"one", b"two"):
        pair.client.streams.send(stream, data)
        pair.pump()
    assert pair.server.events() == [StreamReadable(stream)]
    assert streams.read_waiting(stream, 9, pair.now) == ([b"onetwo"], False)
    pair.client.streams.send(stream, b"three")
    pair.client.streams.finish(stream)
    pair.pump()
    # All had been read, so it is told anew.
    assert pair.server.events() == [StreamReadable(stream)]
    assert streams.read_waiting(stream, 9, pair.now) == ([b"three"], True)
    assert streams.read_waiting(stream, 9, pair.now) == ([], True)
    streams.finish(stream)
    pair.pump()
    assert stream not in streams
    with pytest.raises(LocalProtocolError):
        streams.read_waiting(stream, 9, pair.now)


def test_reading_what_waits_stops_at_its_limit_and_is_not_told_again_before_it_is_read() -> None:
    pair = Pair()
    stream = pair.open()
    streams = pair.server.streams
    pair.client.streams.send(stream, bytes(30_000))
    pair.pump()
    assert len(pair.server.events()) == 1
    (piece,), has_ended = streams.read_waiting(stream, 10_000, pair.now)
    assert (len(piece), has_ended) == (10_000, False)
    pair.client.streams.send(stream, b"more")
    pair.pump()
    assert pair.server.events() == []
    pieces, has_ended = streams.read_waiting(stream, 30_000, pair.now)
    assert (sum(map(len, pieces)), has_ended) == (20_004, False)


def test_a_stream_that_was_not_accepted_can_not_be_read() -> None:
    pair = Pair()
    stream = pair.client.streams.open("example.com", 443)
    pair.pump()
    with pytest.raises(LocalProtocolError, match="not accepted"):
        pair.server.streams.read_waiting(stream, 9, pair.now)


@pytest.mark.parametrize(
    "frames",
    [
        # Cut short, empty, longer than its record, followed by more, and not DATA at all.
        encode_data(1, 0, b"abc")[:-1],
        encode_data(1, 0, b"abc")[:15],
        encode_data(1, 0, b"abc") + encode_fin(1, 3),
        encode_fin(1, 0),
        # Of a stream that never was, and of one that nobody has accepted.
        encode_data(3, 0, b"abc"),
        encode_data(2, 0, b"abc"),
    ],
)
def test_only_a_whole_record_of_data_takes_the_short_way(frames: bytes) -> None:
    pair = Pair()
    stream = pair.open()
    pair.server.streams.open("example.com", 443)
    assert not pair.client.streams.receive_record(frames)
    assert not pair.server.streams.receive_record(frames)
    assert pair.server.streams.read(stream, 9, pair.now) is None


@pytest.mark.parametrize("wrong", [encode_data(1, WINDOW, b"x"), encode_data(1, 2**64 - 1, b"x")])
def test_the_short_way_lets_nothing_pass_beyond_the_credit(wrong: bytes) -> None:
    pair = Pair()
    pair.open()
    with pytest.raises(RemoteProtocolError, match="beyond the credit"):
        pair.server.streams.receive_record(wrong)


def test_both_ends_open_streams_of_their_own_parity() -> None:
    pair = Pair()
    assert [pair.client.streams.open("a", 1) for _ in range(3)] == [1, 3, 5]
    assert [pair.server.streams.open("b", 2) for _ in range(3)] == [2, 4, 6]
    pair.pump()
    assert len(pair.client.streams) == len(pair.server.streams) == 6


@pytest.mark.parametrize("failure", [Failure.CONNECTION_REFUSED, Failure.DNS_ERROR, Failure.LOOP])
def test_a_refusal_travels_whole(failure: Failure) -> None:
    pair = Pair()
    stream = pair.client.streams.open("example.com", 443)
    pair.client.streams.send(stream, b"in vain")
    pair.pump()
    pair.server.streams.refuse(stream, failure, "because")
    pair.pump()
    assert pair.client.events() == [STANDS, StreamRefused(stream, failure, "because")]
    assert len(pair.client.streams) == len(pair.server.streams) == 0
    with pytest.raises(LocalProtocolError, match="is over"):
        pair.client.streams.send(stream, b"more")


def test_data_from_the_far_end_stands_for_opened() -> None:
    dialogue = Dialogue(is_client=True)
    first, second = (dialogue.session.streams.open("a", 1) for _ in range(2))
    assert dialogue.say(encode_data(first, 0, b"x"), encode_fin(second, 0)) == [
        STANDS,
        StreamOpened(first, ""),
        StreamReadable(first),
        StreamOpened(second, ""),
        StreamReadable(second),
    ]
    assert dialogue.say(encode_opened(first, "late:1"), encode_opened(second, "late:2")) == []


def test_the_other_end_refuses_more_streams_than_it_granted() -> None:
    dialogue = Dialogue(SessionTerms(b"s", own=StreamLimits(streams=2)))
    events = dialogue.say(*(encode_open(n, 0, "a", 1) for n in (1, 3, 5)))
    assert [event.stream for event in events if isinstance(event, StreamOffered)] == [1, 3]
    assert dialogue.heard()[-1] == Refused(5, Failure.CONNECTION_LIMIT, "too many streams")
    dialogue.session.streams.reset(1)
    assert dialogue.say(encode_open(7, 0, "a", 1)) == [StreamOffered(7, 0, "a", 1)]


def test_ones_own_streams_end_at_what_the_other_end_granted() -> None:
    pair = Pair(StreamLimits(streams=2))
    first = pair.open()
    pair.client.streams.open("a", 1)
    with pytest.raises(LocalProtocolError) as caught:
        pair.client.streams.open("a", 1)
    assert caught.value.failure is Failure.CONNECTION_LIMIT
    pair.client.streams.reset(first)
    pair.client.streams.open("a", 1)


def test_a_kind_that_is_not_known_is_refused() -> None:
    dialogue = Dialogue()
    assert dialogue.say(encode_open(1, 2, "a", 1)) == [STANDS]
    (frame,) = (one for one in dialogue.heard() if isinstance(one, Refused))
    assert frame.failure is Failure.NOT_IMPLEMENTED


# --- order


def test_frames_may_come_before_the_open_they_belong_to() -> None:
    dialogue = Dialogue()
    fin, data, opening = (
        dialogue.seal(encode_fin(1, 3)),
        dialogue.seal(encode_window(1, 99_999), encode_data(1, 0, b"abc")),
        dialogue.seal(encode_open(1, 0, "a", 1)),
    )
    for record in (fin, data, opening):
        dialogue.session.receive_data(0, record, START)
    assert dialogue.session.events() == [STANDS, StreamOffered(1, 0, "a", 1)]
    dialogue.session.streams.accept(1)
    assert dialogue.session.events() == [StreamReadable(1)]
    assert read_all(dialogue.session, 1) == b"abc"
    dialogue.session.streams.send(1, bytes(70_000))
    assert len(data_of(dialogue.heard())) == 70_000


def test_a_reset_may_come_before_its_open() -> None:
    dialogue = Dialogue()
    opening, reset = dialogue.seal(encode_open(1, 0, "a", 1)), dialogue.seal(encode_reset(1, 0))
    dialogue.session.receive_data(0, reset + opening, START)
    assert dialogue.session.events() == [STANDS]
    assert len(dialogue.session.streams) == 0


def test_what_was_sent_before_a_fin_may_come_after_it() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_open(1, 0, "a", 1))
    dialogue.session.streams.accept(1)
    assert dialogue.say(encode_fin(1, 6)) == []
    assert dialogue.say(encode_data(1, 3, b"def")) == []
    assert dialogue.say(encode_data(1, 0, b"abc")) == [StreamReadable(1)]
    assert read_all(dialogue.session, 1) == b"abcdef"
    assert dialogue.session.streams.read(1, 9, START) == b""


# --- the end


def test_fin_ends_one_direction_only() -> None:
    pair = Pair()
    stream = pair.open()
    pair.client.streams.finish(stream)
    pair.pump()
    assert pair.server.events() == [StreamReadable(stream)]
    assert pair.server.streams.read(stream, 9, pair.now) == b""
    pair.server.streams.send(stream, b"still here")
    pair.server.streams.finish(stream)
    pair.pump()
    assert read_all(pair.client, stream) == b"still here"
    assert len(pair.client.streams) == len(pair.server.streams) == 0


def test_the_end_can_be_read_again_while_the_other_direction_lives() -> None:
    pair = Pair()
    stream = pair.open()
    pair.client.streams.finish(stream)
    pair.pump()
    assert [pair.server.streams.read(stream, 9, pair.now) for _ in range(2)] == [b"", b""]


@pytest.mark.parametrize("code", ResetCode)
def test_reset_ends_both_directions_and_loses_what_waits(code: ResetCode) -> None:
    pair = Pair()
    stream = pair.open()
    pair.client.streams.send(stream, b"lost")
    pair.client.streams.reset(stream, code)
    pair.pump()
    assert pair.server.events() == [StreamWasReset(stream, code)]
    for end in (pair.client, pair.server):
        assert len(end.streams) == 0
        end.streams.reset(stream)
        with pytest.raises(LocalProtocolError):
            end.streams.read(stream, 9, pair.now)
    pair.pump()
    assert pair.server.events() == []


def test_a_reset_is_never_taken_for_an_end() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_open(1, 0, "a", 1))
    dialogue.session.streams.accept(1)
    dialogue.say(encode_data(1, 0, b"read me"), encode_fin(1, 7))
    assert dialogue.say(encode_reset(1, 0)) == [StreamWasReset(1, 0)]
    with pytest.raises(LocalProtocolError):
        dialogue.session.streams.read(1, 9, START)


def test_frames_of_a_stream_that_is_over_are_ignored() -> None:
    dialogue = Dialogue(is_client=True)
    stream = dialogue.session.streams.open("a", 1)
    dialogue.say(encode_opened(stream, ""))
    dialogue.session.streams.reset(stream)
    late = [
        encode_opened(stream, ""),
        encode_refused(stream, Failure.LOOP, ""),
        encode_data(stream, 0, b"x"),
        encode_fin(stream, 10**9),
        encode_reset(stream, 1),
        encode_window(stream, 2**64 - 1),
        encode_datagram(stream, b"x"),
    ]
    assert dialogue.say(*late) == []
    assert dialogue.session.state is SessionState.OPEN


def test_an_open_whose_stream_is_over_is_ignored() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_reset(1, 0))
    assert dialogue.say(encode_open(1, 0, "a", 1), encode_open(1, 0, "a", 1)) == []


# --- what is sent and offered


def test_streams_offered_out_of_order_are_known_up_to_the_highest() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_open(3, 0, "a", 1), encode_open(1, 0, "a", 1))
    assert dialogue.session.streams.highest_offered == 3


def test_a_stream_that_has_sent_its_fin_is_over_once_all_that_waits_is_read() -> None:
    pair = Pair()
    stream = pair.open()
    pair.server.streams.finish(stream)
    pair.client.streams.send(stream, b"last")
    pair.client.streams.finish(stream)
    pair.pump()
    assert pair.server.streams.read_waiting(stream, 9, pair.now) == ([b"last"], True)
    assert stream not in pair.server.streams


def test_there_is_output_only_while_something_is_to_be_sent() -> None:
    pair = Pair()
    pair.pump()
    assert not pair.client.has_output(pair.now)
    pair.client.lower_keepalive(0, 5.0)
    assert pair.client.has_output(pair.now)
    pair.pump()
    stream = pair.client.streams.open("example.com", 443)
    assert pair.client.has_output(pair.now)
    pair.pump()
    pair.server.streams.accept(stream)
    pair.wait(1.0)
    assert not pair.client.has_output(pair.now)
    pair.client.close()
    assert pair.client.has_output(pair.now)


def test_what_is_sent_is_said_as_the_page_has_it() -> None:
    dialogue = Dialogue(is_client=True)
    stream = dialogue.session.streams.open("example.com", 443, Kind.DATAGRAMS)
    dialogue.session.streams.finish(stream)
    dialogue.session.streams.reset(stream)
    assert dialogue.heard() == [Open(1, 1, "example.com", 443), Reset(1, 0)]
    stream = dialogue.session.streams.open("example.com", 443)
    dialogue.session.streams.finish(stream)
    assert dialogue.heard() == [Open(3, 0, "example.com", 443), Fin(3, 0)]
    dialogue = Dialogue()
    dialogue.say(encode_open(1, 0, "a", 1))
    dialogue.session.streams.accept(1, "10.0.0.1:5")
    assert dialogue.heard()[-1] == Opened(1, "10.0.0.1:5")


def test_a_host_that_is_not_ascii_opens_nothing() -> None:
    pair = Pair()
    with pytest.raises(LocalProtocolError, match="ASCII") as refused:
        pair.client.streams.open("b\u00fccher.example", 443)
    assert refused.value.failure is Failure.BAD_TARGET
    assert len(pair.client.streams) == 0
