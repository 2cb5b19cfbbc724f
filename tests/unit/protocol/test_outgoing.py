"""What goes into a record, and in which order: control, credit, datagrams, then streams in turn."""

from __future__ import annotations

import pytest

from tests.unit.protocol.session_pair import data_of
from underpass.errors import RemoteProtocolError
from underpass.protocol.frame_codec import encode_pong, parse_frames
from underpass.protocol.frames import Data, Datagram, Fin, Frame, Pong, Window
from underpass.protocol.mux_stream import SEND_HIGH, MuxStream
from underpass.protocol.outgoing import MAX_CONTROL, Outgoing
from underpass.protocol.scheduler import BRISK_BYTES, QUANTUM
from underpass.protocol.session_events import SessionEvent, StreamWritable
from underpass.protocol.stream_state import StreamInput, StreamState
from underpass.protocol.stream_table import StreamLimits, StreamTable
from underpass.protocol.window import Pool

ROOM = 65_536
NOW = 5000.0
WINDOW = 1 << 20


class Stage:
    """An `Outgoing` with streams that have been opened."""

    def __init__(self, window: int = WINDOW) -> None:
        limits = StreamLimits(initial_window=window)
        self.events: list[SessionEvent] = []
        self.table = StreamTable(True, limits, limits, Pool(0))
        self.outgoing = Outgoing(self.table, self.events)

    def stream(self, data: bytes = b"", *, fin: bool = False) -> MuxStream:
        stream = self.table.open()
        stream.happened(StreamInput.SEND_OPEN)
        if data:
            stream.write(data)
        if fin:
            stream.finish()
        if data or fin:
            self.outgoing.scheduler.add(stream)
        return stream

    def data(self, room: int = ROOM, begun: bytes = b"") -> list[Frame]:
        """The frames that `fill_data` puts into a record."""
        parts = [begun] if begun else []
        any_of_them = self.outgoing.fill_data(parts, room)
        content = b"".join(parts)
        assert len(content) - len(begun) <= room
        assert any_of_them is (len(content) > len(begun))
        return parse_frames(content)

    def control(self, room: int = ROOM) -> tuple[list[Frame], bool]:
        """The frames that `fill_control` puts into a record, and whether they elicit an ACK."""
        parts: list[bytes] = []
        left, elicits = self.outgoing.fill_control(parts, room, NOW)
        content = b"".join(parts)
        assert left == room - len(content) >= 0
        return parse_frames(content), elicits


def test_nothing_waits_at_first() -> None:
    stage = Stage()
    assert not stage.outgoing.has_control
    assert stage.control() == ([], False)
    assert stage.data() == []


def test_control_then_credit_then_datagrams() -> None:
    stage = Stage()
    stream = stage.stream()
    stage.outgoing.datagrams.add(3, b"d", NOW)
    stage.outgoing.want_window(stream)
    stage.outgoing.want_window(stream)
    stage.outgoing.control.append(encode_pong(1))
    assert stage.outgoing.has_control
    assert stage.control() == ([Pong(1), Window(1, WINDOW), Datagram(3, b"d")], True)
    assert not stage.outgoing.has_control


def test_datagrams_elicit_nothing() -> None:
    stage = Stage()
    stage.outgoing.datagrams.add(3, b"d", NOW)
    assert stage.control() == ([Datagram(3, b"d")], False)


@pytest.mark.parametrize("ended", [StreamInput.SEND_RESET, StreamInput.RECEIVE_FIN])
def test_no_credit_is_told_for_a_direction_that_has_ended(ended: StreamInput) -> None:
    stage = Stage()
    stream = stage.stream()
    stage.outgoing.want_window(stream)
    stream.happened(ended)
    if ended is StreamInput.RECEIVE_FIN:
        stream.finish_received(0)
    assert stage.control() == ([], False)
    assert not stage.outgoing.has_control


def test_what_does_not_fit_waits_for_the_next_record() -> None:
    stage = Stage()
    for token in (1, 2, 3):
        stage.outgoing.control.append(encode_pong(token))
    stage.outgoing.want_window(stage.stream())
    assert stage.control(room=11) == ([Pong(1), Pong(2)], True)
    assert stage.control(room=17) == ([Pong(3)], True)
    assert stage.control(room=13) == ([Window(1, WINDOW)], True)


def test_an_end_that_reads_no_answers_may_not_ask_on() -> None:
    stage = Stage()
    stage.outgoing.control.extend([encode_pong(1)] * (MAX_CONTROL - 1))
    stage.outgoing.check_asked()
    stage.outgoing.control.append(encode_pong(1))
    with pytest.raises(RemoteProtocolError, match="takes answers"):
        stage.outgoing.check_asked()
    frames, _ = stage.control()
    assert len(frames) == ROOM // 5
    stage.outgoing.check_asked()


def test_one_stream_alone_fills_a_record() -> None:
    stage = Stage()
    stage.stream(bytes(100_000))
    (frame,) = stage.data()
    assert isinstance(frame, Data)
    assert (frame.stream, frame.offset, len(frame.data)) == (1, 0, ROOM - 15)
    (rest,) = stage.data()
    assert isinstance(rest, Data)
    assert (rest.offset, len(rest.data)) == (ROOM - 15, 100_000 - ROOM + 15)


def test_streams_take_turns_of_a_quantum() -> None:
    stage = Stage()
    for _ in range(2):
        stage.stream(bytes(2 * QUANTUM))
    frames = [(f.stream, len(f.data)) for f in stage.data(4 * QUANTUM) if isinstance(f, Data)]
    assert frames == [(1, QUANTUM), (3, QUANTUM), (1, QUANTUM), (3, QUANTUM - 60)]


def test_transfers_among_themselves_take_turns_of_a_record() -> None:
    stage = Stage()
    both = [stage.stream(bytes(2 * BRISK_BYTES)) for _ in range(2)]
    while any(stream.burst < BRISK_BYTES for stream in both):
        stage.data(QUANTUM)
    records = [stage.data(QUANTUM * 2) for _ in range(2)]
    turns = [[(f.stream, len(f.data)) for f in r if isinstance(f, Data)] for r in records]
    assert turns == [[(1, QUANTUM * 2 - 15)], [(3, QUANTUM * 2 - 15)]]


def test_a_transfer_without_credit_is_none_the_brisker_when_it_has_some() -> None:
    stage = Stage(window=2 * BRISK_BYTES)
    bulk = stage.stream(bytes(4 * BRISK_BYTES))
    while stage.data():
        pass
    assert (bulk.is_ready, bulk.burst) == (False, 2 * BRISK_BYTES)
    bulk.credit(4 * BRISK_BYTES)
    stage.outgoing.scheduler.resume(bulk)
    stage.stream(b"a keystroke")
    first, second = stage.data()
    assert first == Data(3, 0, b"a keystroke")
    assert isinstance(second, Data)
    assert second.stream == 1


def test_a_new_stream_goes_before_a_transfer() -> None:
    stage = Stage()
    stage.stream(bytes(8 * BRISK_BYTES))
    for _ in range(3):
        stage.data()
    stage.stream(b"a keystroke")
    first, second = stage.data()
    assert first == Data(3, 0, b"a keystroke")
    assert isinstance(second, Data)
    assert second.stream == 1


def test_fin_follows_the_last_byte() -> None:
    stage = Stage()
    stage.stream(b"last", fin=True)
    stage.stream(fin=True)
    assert stage.data() == [Data(1, 0, b"last"), Fin(1, 4), Fin(3, 0)]
    assert stage.data() == []


def test_a_fin_that_does_not_fit_comes_next() -> None:
    stage = Stage()
    stage.stream(b"last", fin=True)
    assert stage.data(room=19) == [Data(1, 0, b"last")]
    assert stage.data() == [Fin(1, 4)]


def test_a_fin_behind_bytes_without_credit_waits() -> None:
    stage = Stage(window=3)
    stream = stage.stream(b"abcde", fin=True)
    assert stage.data() == [Data(1, 0, b"abc")]
    assert stage.data() == []
    stream.credit(100)
    stage.outgoing.scheduler.add(stream)
    assert stage.data() == [Data(1, 3, b"de"), Fin(1, 5)]


def test_the_last_fin_of_a_stream_ends_it() -> None:
    stage = Stage()
    stream = stage.stream(fin=True)
    stream.happened(StreamInput.RECEIVE_FIN)
    stream.finish_received(0)
    stream.end_read = True
    assert stage.data() == [Fin(1, 0)]
    assert len(stage.table) == 0


def test_a_stream_that_ended_while_it_waited_is_passed_over() -> None:
    stage = Stage()
    first, _ = stage.stream(b"gone"), stage.stream(b"here")
    stage.table.forget(first)
    assert stage.data() == [Data(3, 0, b"here")]


def test_a_crumb_is_not_added_to_a_record_that_has_something() -> None:
    stage = Stage()
    stage.stream(bytes(1000))
    assert stage.data(room=526, begun=encode_pong(1)) == [Pong(1)]
    assert data_of(stage.data(room=527, begun=encode_pong(1))) == bytes(512)
    assert data_of(stage.data(room=16)) == bytes(1)
    assert stage.data(room=15) == []


def test_the_writer_is_told_once_when_little_waits() -> None:
    stage = Stage()
    stage.stream(bytes(SEND_HIGH + 1))
    while not stage.events:
        stage.data()
    assert stage.events == [StreamWritable(1)]
    (stream,) = stage.table
    assert stream.pending <= SEND_HIGH // 4
    while stage.data():
        pass
    assert stage.events == [StreamWritable(1)]


def test_all_can_be_dropped() -> None:
    stage = Stage()
    stream = stage.stream(b"x")
    stage.outgoing.want_window(stream)
    stage.outgoing.control.append(encode_pong(1))
    stage.outgoing.datagrams.add(1, b"d", NOW)
    stage.outgoing.clear()
    assert stage.control() == ([], False)
    assert stage.data() == []


@pytest.mark.parametrize("size", [1, 64, 4096, 65_521])
def test_one_chunk_is_what_it_would_be_the_long_way(size: int) -> None:
    short, long = Stage(), Stage()
    stream = short.stream(bytes(size))
    long.stream(bytes(size))
    frame = short.outgoing.only_chunk(ROOM)
    assert frame is not None
    assert parse_frames(frame) == long.data()
    assert (stream.is_ready, stream.sent, len(short.outgoing.scheduler)) == (False, size, 0)


@pytest.mark.parametrize("room", [4 + 15 + 13, ROOM])
def test_a_fin_behind_the_only_chunk_goes_with_it(room: int) -> None:
    short, long = Stage(), Stage()
    stream = short.stream(b"data", fin=True)
    long.stream(b"data", fin=True)
    frames = short.outgoing.only_chunk(room)
    assert frames is not None
    assert parse_frames(frames) == long.data()
    assert (stream.state, stream.fin_wanted) == (StreamState.OPENING_FIN_SENT, False)
    assert (stream.is_ready, len(short.outgoing.scheduler)) == (False, 0)


def test_a_chunk_that_is_not_all_or_does_not_fit_is_left_to_the_long_way() -> None:
    alone, two, done = Stage(), Stage(), Stage()
    alone.stream(b"data")
    two.stream(b"one")
    two.stream(b"two")
    done.stream(b"data", fin=True)
    assert alone.outgoing.only_chunk(4 + 15 - 1) is None
    assert two.outgoing.only_chunk(ROOM) is None
    assert done.outgoing.only_chunk(4 + 15 + 13 - 1) is None
    assert [data_of(stage.data()) for stage in (alone, two, done)] == [b"data", b"onetwo", b"data"]
