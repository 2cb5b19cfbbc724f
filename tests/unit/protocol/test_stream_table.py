"""Which streams there are, and which ids may be: whose, how many, and never twice."""

from __future__ import annotations

import tracemalloc

import pytest

from underpass.errors import Failure, LocalProtocolError, RemoteProtocolError
from underpass.protocol.stream_table import MAX_ID_GAPS, MAX_STREAM_ID, StreamLimits, StreamTable
from underpass.protocol.window import Pool


def table(*, is_client: bool = True, own: int = 4, other: int = 4) -> StreamTable:
    return StreamTable(is_client, StreamLimits(own, 100), StreamLimits(other, 200), Pool(1000))


@pytest.mark.parametrize(("is_client", "ids"), [(True, [1, 3, 5]), (False, [2, 4, 6])])
def test_ids_are_of_ones_own_parity_in_order(is_client: bool, ids: list[int]) -> None:
    streams = table(is_client=is_client)
    assert [streams.open().id for _ in range(3)] == ids
    assert [stream.id for stream in streams] == ids
    assert (len(streams), streams.ours, streams.theirs) == (3, 3, 0)
    assert streams.is_ours(99) is is_client


def test_a_stream_has_the_credit_of_its_two_ends() -> None:
    stream = table().open()
    assert (stream.send_limit, stream.window.limit) == (200, 100)


def test_no_more_are_opened_than_the_other_end_allows() -> None:
    streams = table(other=2)
    first, _ = streams.open(), streams.open()
    with pytest.raises(LocalProtocolError) as caught:
        streams.open()
    assert caught.value.failure is Failure.CONNECTION_LIMIT
    streams.forget(first)
    assert streams.open().id == 5


@pytest.mark.parametrize("is_client", [True, False])
def test_ids_come_to_an_end_and_do_not_begin_anew(is_client: bool) -> None:
    streams = table(is_client=is_client)
    streams._next_id = MAX_STREAM_ID - (not is_client)
    assert streams.open().id == MAX_STREAM_ID - (not is_client)
    with pytest.raises(LocalProtocolError, match="as many streams"):
        streams.open()


def test_a_stream_is_found_until_it_is_over() -> None:
    streams = table()
    stream = streams.open()
    assert streams.get(1) is streams.known(1) is streams.answered(1) is streams.find(1) is stream
    streams.forget(stream)
    streams.forget(stream)
    assert (streams.get(1), streams.answered(1), streams.find(1)) == (None, None, None)
    assert streams.ours == 0
    with pytest.raises(LocalProtocolError, match="is over"):
        streams.known(1)


def test_what_a_stream_took_of_the_pool_goes_back() -> None:
    streams = table()
    stream = streams.open()
    stream.window.consume(60, 0.0, 1.0, streams.pool)
    assert streams.pool.left == 0
    streams.forget(stream)
    assert streams.pool.left == 1000


@pytest.mark.parametrize("is_client", [True, False])
def test_an_id_that_can_not_be_is_an_error(is_client: bool) -> None:
    streams = table(is_client=is_client)
    own, theirs = (1, 2) if is_client else (2, 1)
    for wrong in (0, own, own + 2):
        with pytest.raises(RemoteProtocolError):
            streams.find(wrong)
        with pytest.raises(RemoteProtocolError):
            streams.check_theirs(wrong)
    for wrong in (0, own, own + 2, theirs):
        with pytest.raises(RemoteProtocolError, match="never opened"):
            streams.answered(wrong)
    streams.check_theirs(theirs)


def test_a_stream_of_the_other_end_is_added_once() -> None:
    streams = table()
    stream = streams.find(6)
    assert stream is not None
    assert streams.find(6) is stream
    assert (streams.theirs, streams.ours) == (1, 0)
    streams.forget(stream)
    assert (streams.find(6), streams.theirs) == (None, 0)
    assert streams.find(4) is not None


def test_one_too_many_is_crowded_and_many_too_many_an_error() -> None:
    streams = table(own=4)
    for n in range(1, 10):
        assert streams.find(2 * n) is not None
        assert streams.is_crowded is (n > 4)
    with pytest.raises(RemoteProtocolError, match="without end"):
        streams.find(20)
    assert streams.find(2) is not None


def come_and_go(streams: StreamTable, stream_id: int) -> None:
    """A stream of the other end that is over at once."""
    stream = streams.find(stream_id)
    assert stream is not None
    streams.forget(stream)


def test_ids_with_gaps_between_are_bounded() -> None:
    """Each gap is a record on its way: no honest end leaves more than can be."""
    streams = table()
    tracemalloc.start()
    try:
        for n in range(1, MAX_ID_GAPS + 2):
            come_and_go(streams, 4 * n)
        assert tracemalloc.get_traced_memory()[0] < MAX_ID_GAPS * 100
    finally:
        tracemalloc.stop()
    with pytest.raises(RemoteProtocolError, match="leaves out"):
        streams.find(4 * MAX_ID_GAPS + 8)


def test_ids_in_any_order_leave_one_range() -> None:
    streams = table()
    for n in (3, 1, 2, 5, 4):
        come_and_go(streams, 2 * n)
    assert [streams.find(2 * n) for n in range(1, 6)] == [None] * 5
