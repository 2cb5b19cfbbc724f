"""Credit: granted as the application reads, grown while that helps, bounded by the pool."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from underpass.protocol.window import MAX_WINDOW, TUNED_WINDOW, Pool, ReceiveWindow

KIB = 1024
DELAY = 0.1


def test_a_pool_gives_what_it_has() -> None:
    pool = Pool(10)
    assert [pool.take(6), pool.take(6), pool.take(6)] == [6, 4, 0]
    pool.give_back(3)
    assert (pool.take(9), pool.left, pool.size) == (3, 0, 10)


def test_credit_is_granted_when_half_of_it_is_read() -> None:
    window = ReceiveWindow(32 * KIB)
    assert window.limit == 32 * KIB
    assert not window.consume(16 * KIB - 1, 0.0, DELAY, Pool(0))
    assert window.limit == 32 * KIB
    assert window.consume(1, 0.0, DELAY, Pool(0))
    assert window.limit == 16 * KIB + 32 * KIB


def test_the_first_that_reads_becomes_a_quarter_of_a_mebibyte() -> None:
    window, pool = ReceiveWindow(32 * KIB), Pool(MAX_WINDOW)
    assert window.consume(16 * KIB, 1.0, DELAY, pool)
    assert window.size == TUNED_WINDOW
    assert window.limit == 16 * KIB + TUNED_WINDOW
    assert pool.left == MAX_WINDOW - (TUNED_WINDOW - 32 * KIB)


def read_halves(window: ReceiveWindow, pool: Pool, seconds: float, times: int) -> list[int]:
    """The window's size after each half of it that is read, every so many seconds."""
    sizes = []
    for n in range(1, times + 1):
        assert window.consume(window.size // 2, n * seconds, DELAY, pool)
        sizes.append(window.size)
    return sizes


def test_it_doubles_while_half_is_read_within_two_round_trips() -> None:
    sizes = read_halves(ReceiveWindow(32 * KIB), Pool(1 << 30), 1.99 * DELAY, 9)
    assert sizes == [min(TUNED_WINDOW << n, MAX_WINDOW) for n in range(9)]


def test_it_stays_where_the_reader_is_the_limit() -> None:
    sizes = read_halves(ReceiveWindow(32 * KIB), Pool(1 << 30), 2.01 * DELAY, 5)
    assert sizes == [TUNED_WINDOW] * 5


def test_it_grows_no_further_than_the_pool() -> None:
    pool = Pool(300 * KIB)
    sizes = read_halves(ReceiveWindow(32 * KIB), pool, 0.01, 4)
    assert sizes == [256 * KIB, 332 * KIB, 332 * KIB, 332 * KIB]
    assert pool.left == 0


def test_an_empty_pool_stops_nobody() -> None:
    assert read_halves(ReceiveWindow(32 * KIB), Pool(0), 0.01, 4) == [32 * KIB] * 4


def test_a_first_window_above_the_largest_stays() -> None:
    window, pool = ReceiveWindow(2 * MAX_WINDOW), Pool(1 << 30)
    assert read_halves(window, pool, 0.01, 3) == [2 * MAX_WINDOW] * 3
    assert pool.left == pool.size


def test_what_was_taken_goes_back_once() -> None:
    window, pool = ReceiveWindow(32 * KIB), Pool(1 << 30)
    read_halves(window, pool, 0.01, 5)
    assert pool.left < pool.size
    window.release(pool)
    window.release(pool)
    assert pool.left == pool.size


@given(
    st.integers(1, 1 << 20),
    st.integers(0, 1 << 22),
    st.lists(st.tuples(st.integers(1, 1 << 18), st.floats(0, 1)), max_size=30),
)
def test_a_limit_never_shrinks_and_credit_is_bounded(
    initial: int, size: int, reads: list[tuple[int, float]]
) -> None:
    window, pool, now = ReceiveWindow(initial), Pool(size), 0.0
    for wanted, seconds in reads:
        before, now = window.limit, now + seconds
        told = window.consume(min(wanted, window.limit - window.consumed), now, DELAY, pool)
        assert window.limit >= before
        assert told is (window.limit > before) or window.limit == before
        # Never stuck: there is always credit for more.
        assert window.limit > window.consumed
        assert window.limit - window.consumed <= window.size <= max(initial, MAX_WINDOW)
        assert window.size - initial == pool.size - pool.left <= size
