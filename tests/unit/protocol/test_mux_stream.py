"""One stream: what waits to be sent and is taken, what comes and is bounded by credit and fin."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import LocalProtocolError, RemoteProtocolError
from underpass.protocol.frame_codec import DATA_HEAD, encode_data
from underpass.protocol.mux_stream import LEAST_HIGH, SEND_HIGH, SEND_POOL, Backlog, MuxStream
from underpass.protocol.stream_state import StreamInput, StreamState

WINDOW = 1000
I = StreamInput  # noqa: E741 - as in the table


def opening(send_limit: int = WINDOW, backlog: Backlog | None = None) -> MuxStream:
    """A stream that we have asked for."""
    stream = MuxStream(1, send_limit, WINDOW, backlog=backlog)
    stream.happened(I.SEND_OPEN)
    return stream


def test_what_it_is_shows() -> None:
    stream = opening()
    stream.write(b"abc")
    stream.insert(0, b"de")
    assert repr(stream) == "<MuxStream 1 opening, 0 sent, 3 pending, 2 received>"


def test_bytes_are_taken_as_they_were_written() -> None:
    stream = opening()
    for part in (b"one", b"two", b"three"):
        stream.write(part)
    assert stream.take(100) == b"onetwothree"
    assert (stream.sent, stream.pending, stream.can_send) == (11, 0, False)


@pytest.mark.parametrize(("limit", "taken"), [(1, b"o"), (3, b"one"), (4, b"onet"), (6, b"onetwo")])
def test_no_more_is_taken_than_there_is_room_for(limit: int, taken: bytes) -> None:
    stream = opening()
    for part in (b"one", b"two", b"three"):
        stream.write(part)
    assert stream.take(limit) == taken
    assert taken + stream.take(100) == b"onetwothree"


def test_no_more_is_taken_than_the_credit() -> None:
    stream = opening(send_limit=4)
    stream.write(b"abcdefgh")
    assert stream.take(100) == b"abcd"
    assert (stream.can_send, stream.pending) == (False, 4)
    stream.credit(6)
    stream.credit(5)
    assert stream.can_send
    assert stream.take(100) == b"ef"
    stream.credit(2**64 - 1)
    assert stream.take(100) == b"gh"


def test_all_is_taken_at_once_where_it_is_one_chunk() -> None:
    stream = opening(send_limit=8)
    stream.write(b"abcd")
    assert stream.take_all(DATA_HEAD.size + 3) is None
    assert stream.take_all(DATA_HEAD.size + 4) == encode_data(stream.id, 0, b"abcd")
    assert (stream.sent, stream.pending, stream.take_all(100)) == (4, 0, None)
    stream.write(b"efgh")
    assert stream.take_all(100) == encode_data(stream.id, 4, b"efgh")
    stream.write(b"i")
    assert stream.take_all(100) is None


def test_all_is_not_taken_at_once_where_it_is_no_whole_chunk() -> None:
    two, begun = opening(), opening()
    for part in (b"ab", b"cd"):
        two.write(part)
    begun.write(b"abcd")
    assert begun.take(1) == b"a"
    assert [stream.take_all(100) for stream in (two, begun)] == [None] * 2
    assert [stream.take(100) for stream in (two, begun)] == [b"abcd", b"bcd"]


def test_a_fin_waits_for_the_bytes_before_it() -> None:
    stream = opening(send_limit=1)
    stream.write(b"ab")
    stream.finish()
    stream.take(10)
    assert not stream.can_send
    stream.credit(2)
    stream.take(10)
    assert stream.can_send


@pytest.mark.parametrize("call", [lambda s: s.write(b"x"), lambda s: s.finish()])
@pytest.mark.parametrize("what", [(), (I.RECEIVE_OPEN,), (I.SEND_OPEN, I.SEND_FIN)])
def test_nothing_is_sent_before_accept_nor_after_fin(call: object, what: tuple[I, ...]) -> None:
    stream = MuxStream(1, WINDOW, WINDOW)
    for one in what:
        stream.happened(one)
    assert callable(call)
    with pytest.raises(LocalProtocolError, match="on a stream that is"):
        call(stream)
    stream = opening()
    stream.finish()
    with pytest.raises(LocalProtocolError):
        call(stream)


def test_much_that_waits_clogs() -> None:
    stream = opening()
    stream.write(bytes(SEND_HIGH))
    assert not stream.is_clogged
    stream.write(b"x")
    assert stream.is_clogged


def test_it_is_unclogged_once_little_waits() -> None:
    stream = opening(send_limit=SEND_HIGH)
    stream.write(bytes(SEND_HIGH + 1))
    stream.take(SEND_HIGH * 3 // 4)
    assert (stream.unclog(), stream.is_clogged) == (False, True)
    stream.take(1)
    assert (stream.unclog(), stream.is_clogged) == (True, False)


def test_less_may_wait_in_each_of_many_clogged_streams() -> None:
    backlog = Backlog()
    few = SEND_POOL // SEND_HIGH
    backlog.count(few)
    assert (backlog.high, backlog.low) == (SEND_HIGH, SEND_HIGH // 4)
    backlog.count(few)
    assert backlog.high == SEND_HIGH // 2
    backlog.count(10_000)
    assert backlog.high == LEAST_HIGH
    backlog.count(-10_000 - 2 * few)
    assert backlog.high == SEND_HIGH


def test_streams_that_are_clogged_count_until_they_are_not() -> None:
    backlog = Backlog()
    backlog.count(SEND_POOL // SEND_HIGH)
    discarded, drained = (opening(send_limit=SEND_HIGH * 2, backlog=backlog) for _ in range(2))
    for stream in (discarded, drained):
        stream.write(bytes(SEND_HIGH))
        # Clogged already, and counted once.
        stream.write(bytes(SEND_HIGH))
    assert backlog.high < SEND_HIGH
    discarded.discard()
    drained.take(SEND_HIGH * 2)
    assert drained.unclog()
    assert backlog.high == SEND_HIGH


def test_what_is_gone_is_not_kept_while_more_waits() -> None:
    stream = opening(send_limit=1 << 30)
    tracemalloc.start()
    try:
        for n in range(50):
            stream.write(bytes(bytearray(65_536)))
            if n:
                # One behind: something always waits.
                assert len(stream.take(65_536)) == 65_536
        assert tracemalloc.get_traced_memory()[0] < 3 * 65_536
    finally:
        tracemalloc.stop()


def test_bytes_beyond_the_credit_are_an_error() -> None:
    stream = opening()
    stream.insert(WINDOW - 1, b"x")
    for offset, data in [(WINDOW, b"x"), (0, bytes(WINDOW + 1)), (2**64 - 1, b"x")]:
        with pytest.raises(RemoteProtocolError, match="beyond the credit"):
            stream.insert(offset, data)


def test_bytes_beyond_the_end_are_an_error() -> None:
    stream = opening()
    stream.finish_received(5)
    stream.insert(0, b"12345")
    with pytest.raises(RemoteProtocolError, match="beyond the end"):
        stream.insert(5, b"6")


@pytest.mark.parametrize("end", [0, 9, 29, WINDOW + 1, 2**64 - 1])
def test_an_end_before_the_bytes_or_beyond_the_credit_is_an_error(end: int) -> None:
    stream = opening()
    stream.insert(0, bytes(10))
    stream.insert(20, bytes(10))
    with pytest.raises(RemoteProtocolError, match="the end of a stream"):
        stream.finish_received(end)


@pytest.mark.parametrize("end", [30, WINDOW])
def test_an_end_may_be_where_the_bytes_or_the_credit_end(end: int) -> None:
    stream = opening()
    stream.insert(20, bytes(10))
    stream.finish_received(end)
    assert stream.fin_at == end


def test_it_is_finished_when_all_before_the_fin_has_come() -> None:
    stream = opening()
    stream.insert(1, b"b")
    stream.happened(I.RECEIVE_FIN)
    stream.finish_received(2)
    assert (stream.is_finished, stream.is_done) == (False, False)
    stream.insert(0, b"a")
    assert (stream.is_finished, stream.is_done) == (True, False)


def test_it_is_done_when_both_ends_are_and_all_has_been_read() -> None:
    stream = opening()
    stream.happened(I.SEND_FIN)
    stream.happened(I.RECEIVE_FIN)
    stream.finish_received(0)
    assert (stream.state, stream.is_done) == (StreamState.CLOSED, False)
    stream.end_read = True
    assert (stream.state, stream.is_done) == (StreamState.CLOSED, True)


@pytest.mark.parametrize("what", [I.SEND_RESET, I.RECEIVE_RESET, I.RECEIVE_REFUSED])
def test_it_is_done_at_once_when_it_is_over(what: StreamInput) -> None:
    stream = opening()
    stream.happened(what)
    assert stream.is_done


def test_what_is_discarded_is_gone() -> None:
    stream = opening()
    stream.write(bytes(SEND_HIGH + 1))
    stream.finish()
    stream.insert(0, b"abc")
    stream.insert(10, b"abc")
    stream.discard()
    assert (stream.pending, stream.can_send, stream.is_clogged) == (0, False, False)
    assert stream.received.size == 0


@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=100),
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 80)), min_size=1, max_size=30),
)
def test_bytes_taken_in_any_pieces_are_those_written(
    parts: list[bytes], steps: list[tuple[int, int]]
) -> None:
    stream, taken = opening(send_limit=0), b""
    for part in parts:
        stream.write(part)
    written = b"".join(parts)
    for limit, credit in [*steps, *[(500, 10_000)] * 11]:
        stream.credit(stream.send_limit + credit)
        if stream.can_send:
            piece = stream.take(limit)
            assert 1 <= len(piece) <= limit
            taken += piece
        assert len(taken) == stream.sent <= stream.send_limit
        assert stream.pending == len(written) - len(taken)
    assert taken == written
