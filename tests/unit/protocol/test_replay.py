"""What is out: acknowledged once, due again when lost, always bounded."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import RemoteProtocolError
from underpass.protocol.frames import Ack
from underpass.protocol.replay import MAX_BYTES, MAX_NUMBERS, MAX_RECORDS, SendLog

NOW = 5000.0
ROOM = 70_000


def sent(count: int, size: int = 10, carrier: int = 0, now: float = NOW) -> SendLog:
    log = SendLog()
    for n in range(count):
        log.add(record(n, size), True, carrier, now)
    return log


def record(seq: int, size: int = 10) -> bytes:
    return b"%d" % seq + bytes(size - len(str(seq)))


def again(log: SendLog, carrier: int = 1, now: float = NOW) -> list[bytes]:
    """All that is due again."""
    records = []
    while (one := log.take_due(ROOM, carrier, now)) is not None:
        records.append(bytes(one))
    return records


def ack(next_seq: int, *ranges: tuple[int, int], delay: int = 0) -> Ack:
    return Ack(delay, next_seq, ranges)


# --- what is out


def test_nothing_is_out_at_first() -> None:
    log = SendLog()
    assert (len(log), log.is_empty, log.has_room, log.has_data_room) == (0, True, True, True)
    assert again(log) == []


def test_what_is_acknowledged_is_forgotten() -> None:
    log = sent(5)
    log.acknowledge(ack(2, (3, 3)), NOW)
    assert (len(log), log.bytes) == (2, 20)
    log.carrier_died(0)
    assert again(log) == [record(2), record(4)]
    log.acknowledge(ack(5), NOW)
    assert (len(log), log.bytes, log.is_empty) == (0, 0, True)


def test_an_acknowledgement_that_was_overtaken_changes_nothing() -> None:
    log = sent(20)
    log.acknowledge(ack(10, (15, 15)), NOW)
    left = len(log)
    for late in (ack(0), ack(3, (5, 6)), ack(3, (5, 6), (8, 9)), ack(9), ack(2, (4, 9), (15, 15))):
        assert log.acknowledge(late, NOW) is None
        assert len(log) == left
        assert log.has_arrived(10)
    log.acknowledge(ack(2, (8, 12)), NOW)
    log.carrier_died(0)
    assert again(log) == [record(n) for n in (13, 14, 16, 17, 18, 19)]


@pytest.mark.parametrize(
    "wrong", [ack(4), ack(2**63), ack(0, (3, 3)), ack(0, (1, 2**64 - 1)), ack(0, (1, 1), (3, 9))]
)
def test_what_was_never_sent_is_not_acknowledged(wrong: Ack) -> None:
    log = sent(3)
    with pytest.raises(RemoteProtocolError, match="never sent"):
        log.acknowledge(wrong, NOW)
    assert len(log) == 3


def test_the_round_trip_is_that_of_the_newest() -> None:
    log = sent(2)
    log.add(record(2), True, 0, NOW + 1)
    assert log.acknowledge(ack(3, delay=1000), NOW + 1.5) == pytest.approx(0.4)


def test_a_delay_longer_than_the_round_trip_is_none() -> None:
    assert sent(1).acknowledge(ack(1, delay=65_535), NOW + 0.1) == 0.0


def test_no_round_trip_is_told_by_what_is_old_or_was_sent_again() -> None:
    log = sent(3)
    assert log.acknowledge(ack(0, (2, 2)), NOW + 1) == 1.0
    assert log.acknowledge(ack(1, (2, 2)), NOW + 2) is None
    log.carrier_died(0)
    again(log)
    assert log.acknowledge(ack(3), NOW + 3) is None
    log = sent(1)
    log.carrier_died(0)
    assert again(log) == [record(0)]
    assert log.acknowledge(ack(1), NOW + 3) is None


def test_what_was_on_a_dead_carrier_is_due_again_lowest_first() -> None:
    log = SendLog()
    for n in range(6):
        log.add(record(n), True, n % 2, NOW)
    log.carrier_died(1)
    assert again(log, carrier=0) == [record(1), record(3), record(5)]
    log.carrier_died(1)
    assert again(log) == []
    log.carrier_died(0)
    assert again(log, carrier=2) == [record(n) for n in range(6)]


def test_what_is_due_may_be_acknowledged_before_it_goes() -> None:
    log = sent(3)
    log.carrier_died(0)
    log.acknowledge(ack(0, (1, 1)), NOW)
    assert again(log) == [record(0), record(2)]


def test_what_does_not_fit_stays_due() -> None:
    log = sent(1, size=100)
    log.lost([0])
    assert log.take_due(99, 1, NOW) is None
    assert log.take_due(100, 1, NOW) == record(0, 100)


def test_what_is_told_lost_is_due_once() -> None:
    log = sent(3)
    log.acknowledge(ack(1), NOW)
    log.lost([0, 1, 7])
    log.lost([1])
    assert again(log) == [record(1)]


def test_what_was_overtaken_on_its_carrier_is_overdue_after_a_second() -> None:
    log = sent(4)
    log.acknowledge(ack(0, (2, 2)), NOW)
    log.check_overdue(NOW + 0.99, 0.1)
    assert again(log) == []
    log.check_overdue(NOW + 1.0, 0.1)
    assert again(log) == [record(0), record(1)]
    # Sent again it is as new, and after all others of its carrier.
    log.check_overdue(NOW + 100, 0.1)
    assert again(log) == []


def test_on_a_long_path_it_is_overdue_after_three_round_trips() -> None:
    log = sent(2)
    log.acknowledge(ack(0, (1, 1)), NOW)
    log.check_overdue(NOW + 5.9, 2.0)
    assert again(log) == []
    log.check_overdue(NOW + 6.0, 2.0)
    assert again(log) == [record(0)]


def test_another_carrier_overtakes_nothing() -> None:
    log = SendLog()
    log.add(record(0), True, 0, NOW)
    log.add(record(1), True, 1, NOW)
    log.acknowledge(ack(0, (1, 1)), NOW)
    log.check_overdue(NOW + 100, 0.1)
    assert again(log) == []


def test_a_record_that_elicits_nothing_is_skipped_and_not_sent_again() -> None:
    log = sent(1)
    for _ in range(3):
        log.add(b"ack only", False, 0, NOW)
    assert log.silent == 3
    log.add(record(4), True, 0, NOW)
    assert (log.silent, log.bytes) == (0, 20)
    log.carrier_died(0)
    assert again(log) == [record(0), record(4)]
    assert list(log.skips) == [(1, 3)]
    assert not log.is_empty


def test_nothing_is_looked_after_where_only_what_elicits_nothing_is_out() -> None:
    log = sent(1)
    assert log.needs_checks
    log.add(b"ack only", False, 0, NOW)
    log.acknowledge(ack(1), NOW)
    assert (len(log), log.needs_checks) == (1, False)
    log.add(record(2), True, 0, NOW)
    assert log.needs_checks
    log.acknowledge(ack(1, (2, 2)), NOW)
    assert (log.is_empty, log.needs_checks) == (True, True)
    log.check_overdue(NOW + 1, 0.1)
    assert list(log.skips) == [(1, 1)]


def test_what_waits_longest_on_each_carrier() -> None:
    log = SendLog()
    for n in range(4):
        log.add(record(n), True, n % 2, NOW + n)
    log.add(b"ack only", False, 2, NOW)
    assert log.waiting() == {0: NOW, 1: NOW + 1}
    log.lost([0])
    assert log.waiting() == {0: NOW + 2, 1: NOW + 1}


@pytest.mark.parametrize(("size", "data", "control"), [(10, 7168, 8192), (65_560, 448, 8192)])
def test_records_and_bytes_out_are_bounded(size: int, data: int, control: int) -> None:
    log, room_for_data = SendLog(), 0
    while log.has_room:
        room_for_data += log.has_data_room
        log.add(bytes(size) if log.has_data_room else b"x", True, 0, NOW)
    assert (room_for_data, len(log)) == (data, control)
    assert MAX_RECORDS == 8192
    assert log.bytes <= MAX_BYTES


def test_numbers_out_are_bounded() -> None:
    log = SendLog()
    while log.has_room:
        log.add(b"x", True, 0, NOW)
        if log.next_seq > 1:
            log.acknowledge(ack(0, (1, log.next_seq - 1)), NOW)
    assert (log.next_seq, len(log)) == (MAX_NUMBERS, 1)
    log.acknowledge(ack(1), NOW)
    assert (log.has_data_room, log.next_seq) == (True, MAX_NUMBERS)


def test_a_carrier_that_is_gone_leaves_nothing_behind() -> None:
    log = sent(1)
    tracemalloc.start()
    try:
        for carrier in range(1, 2000):
            log.add(record(2 * carrier - 1), True, carrier, NOW)
            log.acknowledge(ack(2 * carrier), NOW)
            log.add(record(2 * carrier), True, carrier, NOW)
            log.carrier_died(carrier)
            log.acknowledge(ack(2 * carrier + 1), NOW)
            assert again(log) == []
        assert tracemalloc.get_traced_memory()[0] < 8 * 1024
    finally:
        tracemalloc.stop()


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.booleans(), st.integers(0, 2)),
            st.tuples(st.just("ack"), st.integers(0, 30), st.sets(st.integers(0, 30))),
            st.tuples(st.just("die"), st.integers(0, 2)),
        ),
        max_size=60,
    )
)
def test_every_record_is_acknowledged_due_or_out(steps: list[tuple[object, ...]]) -> None:
    log, out, acked = SendLog(), {}, set[int]()
    for step in steps:
        match step:
            case ("add", bool(elicits), int(carrier)):
                out[log.next_seq] = (record(log.next_seq), elicits)
                log.add(record(log.next_seq), elicits, carrier, NOW)
            case ("ack", int(below), set(numbers)):
                below = min(below, log.next_seq)
                above = sorted(n for n in numbers if below < n < log.next_seq)
                ranges = ((n, n) for n in above if n - 1 not in numbers or n - 1 == below)
                told = tuple(one for one in ranges if one[0] > below)
                log.acknowledge(Ack(0, below, told), NOW)
                acked |= {*range(below), *(n for n, _ in told)}
            case ("die", int(carrier)):
                log.carrier_died(carrier)
                again(log, carrier=3)
        skipped = {n for first, last in log.skips for n in range(first, last + 1)}
        left = set(out) - acked - skipped
        assert len(log) == len(left)
        assert log.bytes == sum(len(out[n][0]) for n in left if out[n][1])
        assert all(not out[n][1] for n in skipped)
    for carrier in range(4):
        log.carrier_died(carrier)
    assert again(log) == [out[n][0] for n in sorted(set(out) - acked) if out[n][1]]
