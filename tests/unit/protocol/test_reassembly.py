"""A stream's bytes put back in order, against a plain model; what is kept, and what it costs."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import RemoteProtocolError
from underpass.protocol.reassembly import MAX_SEGMENTS, MAX_SESSION_SEGMENTS, Pieces, Reassembly

LIMIT = 1 << 20
TEXT = random.Random(3).randbytes(200_001)


def put(received: Reassembly, *pieces: tuple[int, int], limit: int = LIMIT) -> None:
    """Insert pieces of `TEXT` from one offset to another."""
    for start, end in pieces:
        received.insert(start, TEXT[start:end], limit)


def take(received: Reassembly, limit: int = LIMIT) -> bytes:
    return b"".join(bytes(part) for part in iter(lambda: received.read(limit), b""))


def test_nothing_at_first() -> None:
    received = Reassembly(Pieces())
    assert (received.end, received.size, received.has_gap) == (0, 0, False)
    assert received.read(10) == b""
    assert not received.has_beyond(0)


def test_bytes_in_order_are_read_in_any_pieces() -> None:
    received = Reassembly(Pieces())
    put(received, (0, 10), (10, 11), (11, 5000))
    assert (received.end, received.size) == (5000, 5000)
    assert received.read(4) == TEXT[:4]
    assert take(received, 7) == TEXT[4:5000]
    assert (received.end, received.size) == (5000, 0)


def test_many_pieces_are_read_one_by_one() -> None:
    received = Reassembly(Pieces())
    put(received, *((n * 2000, n * 2000 + 2000) for n in range(100)))
    assert [len(received.read(2000)) for _ in range(100)] == [2000] * 100
    assert received.read(2000) == b""
    put(received, *((n * 2000, n * 2000 + 2000) for n in range(100)), (200_000, 200_001))
    assert received.size == len(TEXT[200_000:200_001])


def test_bytes_wait_for_those_before_them() -> None:
    received = Reassembly(Pieces())
    put(received, (20, 30), (10, 20))
    assert (received.has_gap, received.end, received.size) == (True, 0, 0)
    assert received.read(5) == b""
    assert received.has_beyond(29)
    assert not received.has_beyond(30)
    put(received, (0, 10))
    assert (received.has_gap, received.end, received.size) == (False, 30, 30)
    assert take(received) == TEXT[:30]


def test_a_gap_that_is_closed_leaves_the_next() -> None:
    received = Reassembly(Pieces())
    put(received, (10, 20), (30, 40), (0, 10))
    assert (received.has_gap, received.end, received.has_beyond(19)) == (True, 20, True)
    put(received, (20, 30))
    assert (received.has_gap, received.end, received.size) == (False, 40, 40)
    assert take(received) == TEXT[:40]


def test_bytes_that_came_twice_count_once() -> None:
    received = Reassembly(Pieces())
    put(received, (0, 10), (0, 10), (5, 12), (3, 7), (20, 30), (15, 25), (20, 30), (0, 40))
    assert take(received) == TEXT[:40]
    put(received, (0, 40))
    assert (received.end, received.size) == (40, 0)


@pytest.mark.parametrize("size", [1, 1023, 1024, 16_384, 20_000])
def test_old_bytes_behind_many_pieces_change_nothing(size: int) -> None:
    received = Reassembly(Pieces())
    pieces = [(n * size, (n + 1) * size) for n in range(9)]
    put(received, *pieces, *pieces, (9 * size, 9 * size + 1))
    assert take(received) == TEXT[: 9 * size + 1]


def test_what_is_cleared_is_gone_and_counted_no_more() -> None:
    received = Reassembly(Pieces())
    put(received, (0, 10), (20, 30), limit=10)
    received.clear()
    assert (received.size, received.has_gap, received.read(5)) == (0, False, b"")
    put(received, (20, 30), limit=10)


def test_bytes_out_of_order_are_bounded() -> None:
    received = Reassembly(Pieces())
    put(received, (10, 15), (20, 25), limit=10)
    with pytest.raises(RemoteProtocolError, match="out of order"):
        put(received, (30, 31), limit=10)


def test_pieces_out_of_order_are_bounded() -> None:
    received = Reassembly(Pieces())
    put(received, *((n, n + 1) for n in range(2, 2 * MAX_SEGMENTS + 2, 2)))
    with pytest.raises(RemoteProtocolError, match="out of order"):
        put(received, (2 * MAX_SEGMENTS + 2, 2 * MAX_SEGMENTS + 3))


def test_pieces_without_a_gap_between_are_one() -> None:
    received = Reassembly(Pieces())
    put(received, *((n, n + 2) for n in range(2, 2 * MAX_SEGMENTS + 99, 2)))
    put(received, (0, 2))
    assert take(received) == TEXT[: 2 * MAX_SEGMENTS + 100]


def test_pieces_out_of_order_are_bounded_in_all_streams_together() -> None:
    pieces = Pieces()
    streams = [Reassembly(pieces) for _ in range(MAX_SESSION_SEGMENTS // MAX_SEGMENTS)]
    for received in streams:
        put(received, *((n, n + 1) for n in range(2, 2 * MAX_SEGMENTS + 2, 2)))
    other = Reassembly(pieces)
    with pytest.raises(RemoteProtocolError, match="of a session"):
        put(other, (2, 3))
    streams[0].clear()
    put(streams[1], (0, 2))
    put(other, (4, 5))


def test_room_out_of_order_comes_back_when_a_gap_is_closed() -> None:
    received = Reassembly(Pieces())
    for at in range(0, 1000, 20):
        put(received, (at + 10, at + 20), (at, at + 10), limit=10)
    assert take(received) == TEXT[:1000]


SPANS = st.tuples(st.integers(0, 3000), st.integers(1, 1500)).map(lambda s: (s[0], sum(s)))


@given(st.lists(st.one_of(SPANS, st.integers(1, 2000)), max_size=40))
def test_it_is_a_string_with_holes(steps: list[tuple[int, int] | int]) -> None:
    received, come, read = Reassembly(Pieces()), set[int](), b""
    for step in steps:
        if isinstance(step, int):
            part = bytes(received.read(step))
            assert len(part) <= step
            read += part
        else:
            put(received, step)
            come |= set(range(*step))
        end = next(n for n in range(10_000) if n not in come)
        assert received.end == end
        assert received.size == end - len(read)
        assert received.has_gap is any(n > end for n in come)
        assert all(received.has_beyond(n) is (max(come, default=-1) >= n) for n in (0, end, 3999))
    assert read + take(received) == TEXT[: received.end]


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_any_order_gives_the_same_bytes(sizes: list[int], chance: random.Random) -> None:
    pieces, at = [], 0
    for size in sizes:
        pieces.append((at, at + size))
        at += size
    chance.shuffle(pieces)
    received, read = Reassembly(Pieces()), b""
    for piece in pieces:
        put(received, piece)
        if chance.random() < 0.3:
            read += bytes(received.read(chance.randrange(1, 4000)))
    assert read + take(received) == TEXT[:at]


def held(size: int, step: int, start: int) -> int:
    """What a stream costs that holds so many bytes, in pieces of a byte at every `step`th offset.

    Each piece comes in bytes of its own, as from a record of its own.
    """
    received = Reassembly(Pieces())
    tracemalloc.start()
    try:
        for at in range(start, start + size * step, step):
            received.insert(at, bytes(bytearray(1)), size)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_bytes_that_come_one_by_one_cost_little_more_than_themselves() -> None:
    assert held(32 * 1024, 1, 0) < 2 * 32 * 1024


def test_every_second_byte_costs_little_for_a_piece() -> None:
    assert held(MAX_SEGMENTS, 2, 1) < MAX_SEGMENTS * 200


def test_a_piece_that_waits_keeps_no_record_alive() -> None:
    received = Reassembly(Pieces())
    tracemalloc.start()
    try:
        for n in range(100):
            received.insert(1 + 3 * n, memoryview(bytes(bytearray(65_536)))[:2], LIMIT)
        assert tracemalloc.get_traced_memory()[0] < 64 * 1024
    finally:
        tracemalloc.stop()


def test_what_has_been_read_is_not_kept_while_more_waits() -> None:
    received = Reassembly(Pieces())
    tracemalloc.start()
    try:
        for n in range(50):
            received.insert(n * 65_536, bytes(bytearray(65_536)), LIMIT)
            if n:
                # One behind: something always waits.
                assert len(received.read(65_536)) == 65_536
        assert tracemalloc.get_traced_memory()[0] < 3 * 65_536
    finally:
        tracemalloc.stop()
