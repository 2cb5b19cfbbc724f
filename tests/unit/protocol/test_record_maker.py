"""What goes into the next record of a carrier: what is due, then news, control, and data."""

from __future__ import annotations

import pytest

from tests.unit.protocol.session_pair import CLIENT_KEY, START
from underpass.errors import Failure
from underpass.protocol.frame_codec import encode_pong, encode_refused, parse_frames
from underpass.protocol.frames import (
    MAX_DATA_BYTES,
    Ack,
    Data,
    Datagram,
    Frame,
    Ping,
    Pong,
    Refused,
    Skip,
    Window,
)
from underpass.protocol.mux_stream import MuxStream
from underpass.protocol.outgoing import Outgoing
from underpass.protocol.record import OVERHEAD_BYTES, Opener, RecordSplitter, Sealer
from underpass.protocol.record_maker import LEAST_ROOM, RecordMaker
from underpass.protocol.replay import MAX_SILENT, ReceiveLog, SendLog
from underpass.protocol.session_carrier import SessionCarrier
from underpass.protocol.stream_state import StreamInput
from underpass.protocol.stream_table import StreamLimits, StreamTable
from underpass.protocol.window import Pool

ROOM = 1 << 17


class Stage:
    """A maker with all that it draws on, and one carrier."""

    def __init__(self) -> None:
        limits = StreamLimits(initial_window=1 << 20)
        self.table = StreamTable(True, limits, limits, Pool(0))
        self.outgoing = Outgoing(self.table, [])
        self.sent = SendLog()
        self.received = ReceiveLog()
        self.carrier = SessionCarrier(0, 30.0, START)
        self.maker = RecordMaker(Sealer(CLIENT_KEY), self.sent, self.received, self.outgoing)
        self._opener = Opener(CLIENT_KEY)

    def stream(self, data: bytes) -> MuxStream:
        stream = self.table.open()
        stream.happened(StreamInput.SEND_OPEN)
        stream.write(data)
        self.outgoing.scheduler.add(stream)
        return stream

    def records(self, limit: int = ROOM, now: float = START) -> list[bytes]:
        return self.maker.fill(self.carrier, limit, now)

    def frames(self, limit: int = ROOM, now: float = START) -> list[list[Frame]]:
        """The frames of each record."""
        return [
            parse_frames(self._opener.open(seq, sealed))
            for record in self.records(limit, now)
            for seq, sealed in RecordSplitter().split(record)
        ]


def test_nothing_is_made_of_nothing() -> None:
    assert Stage().records() == []


def test_one_chunk_alone_is_a_record() -> None:
    stage = Stage()
    stage.stream(b"hello")
    assert stage.frames() == [[Data(1, 0, b"hello")]]
    assert stage.frames() == []
    assert len(stage.sent) == 1


@pytest.mark.parametrize("short", [0, 1, 16, 63])
def test_no_record_is_begun_in_too_little_room(short: int) -> None:
    stage = Stage()
    stage.stream(b"x")
    assert stage.records(OVERHEAD_BYTES + short) == []
    stage.outgoing.control.append(encode_pong(1))
    assert stage.records(OVERHEAD_BYTES + short) == []
    assert len(stage.records(OVERHEAD_BYTES + LEAST_ROOM)) == 1


def test_records_fill_the_room_of_a_carrier() -> None:
    stage = Stage()
    stage.stream(bytes(3 * MAX_DATA_BYTES))
    sizes = [len(frame.data) for (frame,) in stage.frames() if isinstance(frame, Data)]
    assert sizes[0] == MAX_DATA_BYTES
    assert sum(sizes) <= ROOM
    rest = [len(frame.data) for (frame,) in stage.frames() if isinstance(frame, Data)]
    assert sum(sizes) + sum(rest) == 3 * MAX_DATA_BYTES


def test_the_order_in_a_record() -> None:
    stage = Stage()
    stage.received.add(0, 10, START)
    stage.received.elicited(START)
    stage.carrier.ping_wanted = True
    stage.carrier.pong_token = 8
    stage.sent.skips.add(3, 5)
    stage.outgoing.control.append(encode_pong(99))
    stage.outgoing.want_window(stage.stream(b"data"))
    stage.outgoing.datagrams.add(5, b"datagram", START)
    assert stage.frames() == [
        [
            Ack(0, 1, ()),
            Ping(1, 30_000),
            Pong(8),
            Skip(3, 5),
            Pong(99),
            Window(1, 1 << 20),
            Datagram(5, b"datagram"),
            Data(1, 0, b"data"),
        ]
    ]
    assert stage.frames() == []


def test_what_is_due_goes_first_and_is_not_made_anew() -> None:
    stage = Stage()
    stage.stream(b"lost")
    (lost,) = stage.records()
    stage.stream(b"new")
    stage.sent.lost([0])
    again, new = stage.records()
    assert again == lost
    assert new[3:11] == (1).to_bytes(8, "big")


def test_an_ack_alone_waits_until_it_is_due() -> None:
    stage = Stage()
    stage.received.add(0, 10, START)
    stage.received.elicited(START)
    assert not stage.maker.has_output([stage.carrier], START + 0.024)
    assert stage.frames(now=START + 0.024) == []
    assert stage.maker.has_output([stage.carrier], START + 0.025)
    assert stage.frames(now=START + 0.025) == [[Ack(250, 1, ())]]


@pytest.mark.parametrize(("count", "rides"), [(1, False), (31, False), (32, True)])
def test_what_elicits_nothing_is_told_once_it_is_much(count: int, rides: bool) -> None:
    stage = Stage()
    for seq in range(count):
        stage.received.add(seq, 10, START)
    stage.stream(b"data")
    (frames,) = stage.frames()
    assert frames == ([Ack(0, count, ())] if rides else []) + [Data(1, 0, b"data")]


def test_many_ranges_leave_room_in_a_small_record() -> None:
    stage = Stage()
    for seq in range(0, 200, 2):
        stage.received.add(seq, 10, START)
    stage.stream(bytes(5000))
    (first, *_), *_ = stage.frames(limit=1000)
    assert isinstance(first, Ack)
    assert 20 < len(first.ranges) < 32


def test_a_long_control_frame_does_not_wait_for_room_that_never_comes() -> None:
    stage = Stage()
    stage.received.add(0, 10, START)
    stage.received.elicited(START)
    details = "x" * 1024
    stage.outgoing.control.append(encode_refused(1, Failure.LOOP, details))
    stage.outgoing.control.append(encode_pong(1))
    (frames,) = stage.frames(limit=300)
    assert frames[:2] == [Ack(0, 1, ()), Refused(1, Failure.LOOP, details)]


def test_after_many_records_that_elicit_nothing_comes_a_ping() -> None:
    stage = Stage()
    for _ in range(MAX_SILENT):
        stage.outgoing.datagrams.add(1, b"d", START)
        assert stage.frames() == [[Datagram(1, b"d")]]
    stage.outgoing.datagrams.add(1, b"d", START)
    assert stage.frames() == [[Ping(0, 0), Datagram(1, b"d")]]
    assert stage.sent.silent == 0


def test_what_is_late_is_no_record() -> None:
    stage = Stage()
    stage.outgoing.datagrams.add(1, b"d", START)
    assert stage.frames(now=START + 1) == []


def test_with_the_log_full_nothing_is_made_but_an_ack() -> None:
    stage = Stage()
    while stage.sent.has_room:
        stage.sent.add(b"x", True, 0, START)
    stage.stream(b"x")
    stage.outgoing.control.append(encode_pong(1))
    stage.received.add(0, 10, START)
    stage.received.elicited(START)
    assert stage.frames(now=START) == []
    [[ack]] = stage.frames(now=START + 1)
    assert isinstance(ack, Ack)
    assert stage.frames(now=START + 1) == []


def test_with_the_log_full_not_even_acks_are_made_without_end() -> None:
    stage = Stage()
    while stage.sent.has_ack_room:
        stage.sent.add(b"x", False, 0, START)
    stage.received.add(0, 10, START)
    stage.received.elicited(START)
    assert stage.frames(now=START + 1) == []


def test_with_little_room_in_the_log_only_control_is_sent() -> None:
    stage = Stage()
    while stage.sent.has_data_room:
        stage.sent.add(b"x", True, 0, START)
    stage.stream(b"x")
    assert stage.records() == []
    stage.outgoing.control.append(encode_pong(1))
    (record,) = stage.records()
    assert len(record) == OVERHEAD_BYTES + 5


def test_the_last_record_is_kept_by_nobody() -> None:
    stage = Stage()
    assert len(stage.maker.farewell(encode_pong(1))) == OVERHEAD_BYTES + 5
    assert len(stage.sent) == 0
