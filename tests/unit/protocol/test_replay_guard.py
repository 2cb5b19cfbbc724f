"""A hello passes once, while it is worth anything; what is kept of it is bounded."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.protocol.replay_guard import ReplayGuard, Verdict

NOW = 1_750_000_000_000
TOLERANCE = 300_000


def test_a_hello_passes_once() -> None:
    guard = ReplayGuard()
    assert guard.admit(b"a", NOW, NOW) is Verdict.FRESH
    assert guard.admit(b"a", NOW, NOW) is Verdict.REPLAYED
    assert guard.admit(b"a", NOW + 1, NOW + 1) is Verdict.REPLAYED
    assert guard.admit(b"b", NOW, NOW + 1) is Verdict.FRESH


@pytest.mark.parametrize(
    ("off", "verdict"),
    [
        (-TOLERANCE - 1, Verdict.CLOCK),
        (-TOLERANCE, Verdict.FRESH),
        (0, Verdict.FRESH),
        (TOLERANCE, Verdict.FRESH),
        (TOLERANCE + 1, Verdict.CLOCK),
    ],
)
def test_a_clock_may_be_five_minutes_off(off: int, verdict: Verdict) -> None:
    guard = ReplayGuard()
    assert guard.admit(b"a", NOW + off, NOW) is verdict
    assert len(guard) == (verdict is Verdict.FRESH)


@pytest.mark.parametrize("timestamp", [0, 2**64 - 1])
def test_a_timestamp_at_an_edge_is_off(timestamp: int) -> None:
    assert ReplayGuard().admit(b"a", timestamp, NOW) is Verdict.CLOCK


def test_a_replay_whose_clock_is_off_by_now_is_still_told() -> None:
    guard = ReplayGuard()
    guard.admit(b"a", NOW - TOLERANCE, NOW)
    assert guard.admit(b"a", NOW - TOLERANCE, NOW + TOLERANCE) is Verdict.REPLAYED


def test_a_hello_is_remembered_as_long_as_it_could_pass() -> None:
    guard = ReplayGuard()
    guard.admit(b"a", NOW + TOLERANCE, NOW)
    assert guard.admit(b"a", NOW + TOLERANCE, NOW + 2 * TOLERANCE) is Verdict.REPLAYED
    assert guard.admit(b"a", NOW + TOLERANCE, NOW + 2 * TOLERANCE + 1) is Verdict.CLOCK
    assert len(guard) == 0


def test_a_full_table_forgets_nothing_fresh() -> None:
    guard = ReplayGuard(capacity=2)
    assert guard.admit(b"a", NOW, NOW) is Verdict.FRESH
    assert guard.admit(b"b", NOW + 1, NOW + 1) is Verdict.FRESH
    assert guard.admit(b"c", NOW + 2, NOW + 2) is Verdict.FULL
    assert guard.admit(b"a", NOW, NOW + 3) is Verdict.REPLAYED
    later = NOW + 2 * TOLERANCE + 1
    assert guard.admit(b"c", later, later) is Verdict.FRESH
    assert guard.admit(b"d", later, later) is Verdict.FULL
    assert guard.admit(b"d", later + 1, later + 1) is Verdict.FRESH


def test_a_clock_set_back_frees_the_table_and_a_small_step_does_not() -> None:
    guard = ReplayGuard(capacity=1)
    assert guard.admit(b"a", NOW, NOW) is Verdict.FRESH
    back = NOW - 2 * TOLERANCE
    assert guard.admit(b"b", back, back) is Verdict.FULL
    assert guard.admit(b"b", back - 1, back - 1) is Verdict.FRESH


def test_memory_is_bounded_and_forgetting_is_cheap() -> None:
    guard = ReplayGuard(capacity=1_000)
    tracemalloc.start()
    try:
        for number in range(10_000):
            guard.admit(number.to_bytes(32, "big"), NOW + number, NOW + number)
        later = NOW + 10_000_000
        assert guard.admit(b"x", later, later) is Verdict.FRESH
        assert len(guard) == 1
        assert tracemalloc.get_traced_memory()[1] < 1_000 * 400
    finally:
        tracemalloc.stop()


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(-15, 15), st.integers(0, 8)),
        max_size=60,
    )
)
def test_no_hello_ever_passes_twice(steps: list[tuple[int, int, int]]) -> None:
    """A hello has one timestamp, whenever it comes; the server's clock runs on."""
    guard = ReplayGuard(capacity=4, tolerance_ms=10)
    passed = set()
    now = 100
    for name, off, wait in steps:
        now += wait
        timestamp = 100 + 20 * name + off
        hello = b"%d at %d" % (name, timestamp)
        verdict = guard.admit(hello, timestamp, now)
        assert len(guard) <= 4
        if verdict is Verdict.FRESH:
            assert hello not in passed
            passed.add(hello)
