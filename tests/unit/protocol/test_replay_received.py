"""What a session keeps of what has come: numbers taken once, and acknowledged in time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import RemoteProtocolError
from underpass.protocol.frames import MAX_ACK_RANGES, Ack
from underpass.protocol.replay import (
    ACK_BYTES,
    ACK_HEAD_BYTES,
    ACK_RANGE_BYTES,
    ACK_RECORDS,
    ACK_SECONDS,
    MAX_AHEAD,
    RIDE_RECORDS,
    RIDE_SECONDS,
    ReceiveLog,
)

NOW = 5000.0
# Room for an ACK with all its ranges.
ACK_ROOM = ACK_HEAD_BYTES + MAX_ACK_RANGES * ACK_RANGE_BYTES


def come(*seqs: int, size: int = 10, now: float = NOW) -> ReceiveLog:
    log = ReceiveLog()
    for seq in seqs:
        assert log.is_new(seq)
        log.add(seq, size, now)
    return log


def test_each_number_is_new_once() -> None:
    log = come(0, 1, 5, 3)
    assert [seq for seq in range(8) if log.is_new(seq)] == [2, 4, 6, 7]
    assert (log.next_seq, log.gaps) == (2, 2)
    log.add(2, 10, NOW)
    assert (log.next_seq, log.gaps) == (4, 1)


def test_numbers_far_ahead_are_an_error() -> None:
    log = come(0, 1)
    assert log.is_new(2 + MAX_AHEAD - 1)
    with pytest.raises(RemoteProtocolError, match="far ahead"):
        log.is_new(2 + MAX_AHEAD)
    with pytest.raises(RemoteProtocolError, match="far ahead"):
        log.skip(0, 2 + MAX_AHEAD)


def test_what_is_skipped_counts_as_received() -> None:
    log = come(0, 4)
    log.skip(0, 0)
    log.skip(0, 2)
    assert (log.next_seq, log.gaps) == (3, 1)
    log.skip(3, 3)
    assert (log.next_seq, log.gaps) == (5, 0)
    assert log.acknowledge(NOW, ACK_ROOM).next_seq == 5


def test_it_is_acknowledged_within_25_ms_if_something_elicits_it() -> None:
    log = come(0, 1)
    assert (log.records, log.ack_at) == (2, None)
    log.elicited(NOW)
    log.elicited(NOW + 0.01)
    assert log.ack_at == NOW + ACK_SECONDS == NOW + 0.025
    assert log.acknowledge(NOW + 0.02, ACK_ROOM) == Ack(200, 2, ())
    assert log.ack_at is None


@pytest.mark.parametrize(("count", "size"), [(ACK_RECORDS, 10), (ACK_BYTES // 65_536, 65_536)])
def test_it_is_acknowledged_at_once_after_much(count: int, size: int) -> None:
    log = ReceiveLog()
    for seq in range(count):
        assert log.ack_at is None or log.ack_at == NOW + ACK_SECONDS
        log.add(seq, size, NOW)
        log.elicited(NOW)
    # At once means now: not at a time of long ago, which would look like sleep.
    assert log.ack_at == NOW


def test_records_that_elicit_nothing_are_not_acknowledged_for_themselves() -> None:
    assert come(*range(1000)).ack_at is None


def test_it_waited_at_most_what_fits() -> None:
    assert come(0, now=NOW).acknowledge(NOW + 60, ACK_ROOM).delay == 65_535
    assert come(0, now=NOW).acknowledge(NOW - 1, ACK_ROOM).delay == 0


@pytest.mark.parametrize(("room", "count"), [(0, 0), (27, 0), (28, 1), (60, 3), (9999, 64)])
def test_as_many_ranges_are_told_as_fit(room: int, count: int) -> None:
    log = come(*range(0, 200, 2))
    told = log.acknowledge(NOW, room)
    assert told.next_seq == 1
    assert told.ranges == tuple((n, n) for n in range(2, 2 + 2 * count, 2))


def test_an_acknowledgement_rides_along_once_a_millisecond() -> None:
    log = come(0)
    log.elicited(NOW)
    assert log.rides_along(NOW)
    log.acknowledge(NOW, ACK_ROOM)
    log.add(1, 10, NOW)
    log.elicited(NOW)
    assert not log.rides_along(NOW + RIDE_SECONDS / 2)
    assert log.rides_along(NOW + RIDE_SECONDS)


def test_an_acknowledgement_that_is_due_rides_along_at_once() -> None:
    log = come(0)
    log.acknowledge(NOW, ACK_ROOM)
    log.add(1, ACK_BYTES, NOW)
    log.elicited(NOW)
    assert log.rides_along(NOW)


def test_records_that_elicit_nothing_are_told_with_the_next_when_they_are_many() -> None:
    log = come(*range(RIDE_RECORDS - 1))
    assert not log.rides_along(NOW)
    log.add(RIDE_RECORDS - 1, 10, NOW)
    assert log.rides_along(NOW)


def test_a_repetition_is_acknowledged_though_nothing_is_new() -> None:
    log = come(0)
    log.acknowledge(NOW, ACK_ROOM)
    assert log.records == 0
    log.repeat(NOW + 1)
    assert (log.records, log.ack_at) == (1, NOW + 1 + ACK_SECONDS)


@given(st.lists(st.integers(0, 60), max_size=80))
def test_it_is_a_set_of_numbers(seqs: list[int]) -> None:
    log, numbers = ReceiveLog(), set[int]()
    for seq in seqs:
        assert log.is_new(seq) is (seq not in numbers)
        if log.is_new(seq):
            log.add(seq, 1, NOW)
        numbers.add(seq)
        assert log.next_seq == next(n for n in range(99) if n not in numbers)
    told = log.acknowledge(NOW, ACK_ROOM)
    above = {n for first, last in told.ranges for n in range(first, last + 1)}
    assert set(range(told.next_seq)) | above == numbers
