"""Whose turn it is: the brisk first, nobody starved."""

from __future__ import annotations

from collections import Counter

from underpass.protocol.mux_stream import MuxStream
from underpass.protocol.scheduler import BRISK_BYTES, BRISK_TURNS, QUANTUM, Scheduler


def streams(count: int) -> list[MuxStream]:
    return [MuxStream(n, 0, 0) for n in range(count)]


def turns(scheduler: Scheduler, count: int, sizes: dict[int, int]) -> list[int]:
    """The ids of the next turns, each stream sending as much in its own."""
    ids = []
    for _ in range(count):
        stream = scheduler.next()
        assert stream is not None
        ids.append(stream.id)
        scheduler.again(stream, sizes[stream.id])
    return ids


def filled(*added: MuxStream) -> Scheduler:
    scheduler = Scheduler()
    for stream in added:
        scheduler.add(stream)
    return scheduler


def test_nobody_waits_at_first() -> None:
    scheduler = Scheduler()
    assert (len(scheduler), scheduler.next()) == (0, None)


def test_a_stream_that_waits_is_ready() -> None:
    (stream,) = streams(1)
    assert not stream.is_ready
    scheduler = filled(stream)
    assert (stream.is_ready, len(scheduler)) == (True, 1)
    assert scheduler.next() is stream
    assert scheduler.next() is None


def test_streams_take_turns() -> None:
    scheduler = filled(*streams(3))
    assert turns(scheduler, 9, dict.fromkeys(range(3), 100)) == [0, 1, 2] * 3


def test_a_transfer_waits_for_those_that_send_little() -> None:
    bulk, first, second = streams(3)
    scheduler = filled(bulk)
    assert turns(scheduler, 4, {0: BRISK_BYTES // 4}) == [0] * 4
    scheduler.add(first)
    scheduler.add(second)
    assert turns(scheduler, 6, {0: QUANTUM, 1: 10, 2: 10}) == [1, 2, 1, 2, 1, 2]


def test_a_flood_of_brisk_streams_starves_no_transfer() -> None:
    scheduler = filled(*streams(1))
    turns(scheduler, 1, {0: BRISK_BYTES})
    for stream in streams(50)[1:]:
        scheduler.add(stream)
    count = Counter(turns(scheduler, 900, {0: QUANTUM, **dict.fromkeys(range(1, 50), 1)}))
    assert count[0] == 900 // (BRISK_TURNS + 1)
    assert max(count[n] for n in range(1, 50)) - min(count[n] for n in range(1, 50)) <= 1


def test_a_stream_that_paused_is_brisk_again() -> None:
    bulk, other = streams(2)
    scheduler = filled(bulk, other)
    turns(scheduler, 2, {0: BRISK_BYTES, 1: BRISK_BYTES})
    assert scheduler.next() is bulk
    scheduler.pause(bulk, QUANTUM)
    assert not bulk.is_ready
    scheduler.add(bulk)
    assert turns(scheduler, 2, {0: 1, 1: QUANTUM}) == [0, 0]


def test_a_transfer_that_waited_for_credit_goes_on_as_one() -> None:
    bulk, brisk = streams(2)
    scheduler = filled(bulk)
    assert scheduler.next() is bulk
    # Its credit was at an end, and more waits.
    bulk.pending = 1
    scheduler.pause(bulk, BRISK_BYTES)
    scheduler.resume(bulk)
    assert bulk.is_ready
    scheduler.add(brisk)
    assert turns(scheduler, 2, {0: QUANTUM, 1: 1}) == [1, 1]


def test_one_that_sent_little_and_waited_for_credit_is_brisk() -> None:
    stream, bulk = streams(2)
    scheduler = filled(bulk)
    turns(scheduler, 1, {1: BRISK_BYTES})
    stream.pending = 1
    scheduler.pause(stream, 10)
    scheduler.resume(stream)
    assert scheduler.next() is stream


def test_only_transfers_leave_each_other_no_room() -> None:
    bulk, other, brisk = streams(3)
    scheduler = filled(bulk, other)
    assert turns(scheduler, 1, {0: BRISK_BYTES}) == [0]
    assert scheduler.must_share(bulk)
    assert turns(scheduler, 1, {1: BRISK_BYTES}) == [1]
    assert not scheduler.must_share(bulk)
    # One that may become a transfer shares with those that are.
    assert scheduler.must_share(brisk)
    scheduler.add(brisk)
    assert scheduler.must_share(bulk)


def test_all_can_be_dropped() -> None:
    scheduler = filled(*streams(3))
    turns(scheduler, 1, {0: BRISK_BYTES})
    scheduler.clear()
    assert (len(scheduler), scheduler.next()) == (0, None)
