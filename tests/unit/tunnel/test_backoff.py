"""Waits between tries."""

from __future__ import annotations

from underpass.tunnel.backoff import LONGEST_SECONDS, Backoff


def upper(least: float, most: float) -> float:
    assert least == 0
    return most


def test_the_bound_doubles_up_to_the_longest() -> None:
    backoff = Backoff(uniform=upper)
    assert [backoff.next() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, LONGEST_SECONDS]


def test_success_begins_anew() -> None:
    backoff = Backoff(0.1, 0.3, upper)
    assert [backoff.next() for _ in range(4)] == [0.1, 0.2, 0.3, 0.3]
    backoff.reset()
    assert backoff.next() == 0.1


def test_each_wait_is_anything_up_to_the_bound() -> None:
    backoff = Backoff(1, 1)
    waits = {backoff.next() for _ in range(20)}
    assert len(waits) > 10
    assert all(0 <= wait <= 1 for wait in waits)
