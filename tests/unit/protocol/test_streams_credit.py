"""Credit for streams, and datagrams, as dialogues between two sessions."""

from __future__ import annotations

import pytest

from tests.unit.protocol.session_pair import START, Dialogue, Pair, data_of, read_all
from underpass.errors import LocalProtocolError
from underpass.protocol.frame_codec import (
    encode_data,
    encode_datagram,
    encode_fin,
    encode_open,
    encode_window,
)
from underpass.protocol.frames import Kind, Window
from underpass.protocol.session_events import (
    DatagramReceived,
    SessionEvent,
    StreamReadable,
    StreamWritable,
)
from underpass.protocol.stream_table import StreamLimits
from underpass.protocol.streams import MAX_DATAGRAM_EVENTS
from underpass.protocol.window import TUNED_WINDOW

WINDOW = StreamLimits().initial_window


# --- flow control


def test_no_more_is_sent_than_the_credit_and_reading_gives_more() -> None:
    pair = Pair()
    stream = pair.open()
    data = bytes(range(256)) * 1024
    pair.client.streams.send(stream, data)
    pair.pump()
    assert pair.server.events() == [StreamReadable(stream)]
    got = read_all(pair.server, stream)
    assert got == data[:WINDOW]
    while pair.pump() and (more := read_all(pair.server, stream, pair.now)):
        got += more
    assert got == data


def test_a_fin_waits_for_the_credit_of_the_bytes_before_it() -> None:
    pair = Pair()
    stream = pair.open()
    pair.client.streams.send(stream, bytes(3 * WINDOW))
    pair.pump()
    pair.client.streams.finish(stream)
    got = 0
    while data := pair.server.streams.read(stream, 1 << 20, pair.now):
        got += len(data)
        pair.pump()
    assert (got, data) == (3 * WINDOW, b"")


def test_what_is_written_without_credit_waits_its_turn() -> None:
    pair = Pair(StreamLimits(initial_window=4))
    stream = pair.open()
    for part in (b"ab", b"cd", b"ef", b"gh"):
        pair.client.streams.send(stream, part)
        pair.carry(pair.client)
    assert read_all(pair.server, stream, pair.now) == b"abcd"
    pair.pump()
    assert read_all(pair.server, stream, pair.now) == b"efgh"


def test_two_that_are_written_at_once_are_one() -> None:
    pair = Pair()
    stream = pair.open()
    pair.wait(1)
    pair.client.streams.send(stream, b"ab")
    pair.client.streams.send(stream, b"cd")
    (record,) = pair.carry(pair.client)
    assert len(record) == 27 + 15 + 4
    assert read_all(pair.server, stream) == b"abcd"


def test_a_stream_is_quiet_while_there_is_nothing_to_read_and_no_end() -> None:
    pair = Pair()
    stream = pair.open()
    assert pair.server.streams.is_quiet(stream)
    pair.client.streams.send(stream, b"x")
    pair.pump()
    assert not pair.server.streams.is_quiet(stream)
    read_all(pair.server, stream)
    assert pair.server.streams.is_quiet(stream)
    pair.client.streams.finish(stream)
    pair.pump()
    assert not pair.server.streams.is_quiet(stream)
    assert not pair.server.streams.is_quiet(99)


def test_a_stalled_reader_stops_nobody_else() -> None:
    pair = Pair()
    stalled, other = pair.open(), pair.open()
    pair.client.streams.send(stalled, bytes(10 * WINDOW))
    pair.client.streams.send(other, bytes(10 * WINDOW))
    got = 0
    while pair.pump() and (more := read_all(pair.server, other, pair.now)):
        got += len(more)
    assert got == 10 * WINDOW
    assert read_all(pair.server, stalled) == bytes(WINDOW)


def test_windows_grow_while_the_reader_is_faster_than_the_path() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_open(1, 0, "a", 1))
    dialogue.session.streams.accept(1)
    dialogue.say(encode_data(1, 0, bytes(WINDOW // 2)))
    dialogue.session.streams.read(1, WINDOW, START)
    windows = [frame for frame in dialogue.heard() if isinstance(frame, Window)]
    assert windows == [Window(1, WINDOW // 2 + TUNED_WINDOW)]


def test_a_window_that_shrinks_is_old_news() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_open(1, 0, "a", 1))
    dialogue.session.streams.accept(1)
    dialogue.session.streams.send(1, bytes(2 * WINDOW))
    assert len(data_of(dialogue.heard())) == WINDOW
    dialogue.say(encode_window(1, WINDOW + 10))
    dialogue.say(encode_window(1, WINDOW + 5))
    dialogue.say(encode_window(1, 0))
    assert len(data_of(dialogue.heard())) == 10


def test_no_credit_is_told_after_the_end() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_open(1, 0, "a", 1))
    dialogue.session.streams.accept(1)
    dialogue.say(encode_data(1, 0, bytes(WINDOW)), encode_fin(1, WINDOW))
    assert read_all(dialogue.session, 1) == bytes(WINDOW)
    assert not [frame for frame in dialogue.heard() if isinstance(frame, Window)]


def test_the_writer_waits_and_is_told_to_go_on() -> None:
    pair = Pair()
    stream = pair.open()
    pair.client.streams.send(stream, bytes(300 * 1024))
    assert pair.client.streams.is_clogged(stream)
    events: list[SessionEvent] = []
    while pair.pump() and read_all(pair.server, stream, pair.now):
        events += pair.client.events()
    assert events == [StreamWritable(stream)]
    assert not pair.client.streams.is_clogged(stream)


# --- datagrams


def test_datagrams_travel_on_streams_of_their_kind() -> None:
    pair = Pair()
    stream = pair.open(kind=Kind.DATAGRAMS)
    for end in (pair.client, pair.server):
        end.streams.send_datagram(stream, b"ping", pair.now)
        pair.pump()
        assert pair.other(end).events() == [DatagramReceived(stream, b"ping")]
    with pytest.raises(LocalProtocolError, match="stream of bytes"):
        pair.client.streams.send_datagram(pair.open(), b"x", pair.now)


def test_datagrams_that_nobody_takes_are_dropped() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_open(1, 1, "a", 1), encode_open(3, 0, "a", 1))
    assert dialogue.say(encode_datagram(3, b"x"), encode_datagram(5, b"x")) == []
    flood = [encode_datagram(1, b"x")] * (MAX_DATAGRAM_EVENTS + 10)
    assert len(dialogue.say(*flood)) == MAX_DATAGRAM_EVENTS
    assert len(dialogue.say(*flood)) == MAX_DATAGRAM_EVENTS
