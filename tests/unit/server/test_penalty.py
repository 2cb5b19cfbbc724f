"""The penalty for guessing: none for typing errors, a growing wait, and a bounded memory."""

from __future__ import annotations

import pytest

from underpass.server import penalty
from underpass.server.penalty import (
    FORGET_SECONDS,
    FREE_FAILURES,
    LONGEST_WAIT,
    FailurePenalty,
)

CLIENT = "192.0.2.1"


def after(failures: int, now: float = 0.0) -> FailurePenalty:
    """A penalty that saw so many failures at `now`."""
    it = FailurePenalty()
    for _ in range(failures):
        it.failed(CLIENT, now)
    return it


def test_who_never_failed_does_not_wait() -> None:
    assert FailurePenalty().wait(CLIENT, 0.0) == 0.0


def test_typing_errors_are_free() -> None:
    assert after(FREE_FAILURES - 1).wait(CLIENT, 0.0) == 0.0


@pytest.mark.parametrize(
    ("more", "seconds"), [(0, 1), (1, 2), (2, 4), (5, 32), (6, LONGEST_WAIT), (1000, LONGEST_WAIT)]
)
def test_each_further_failure_doubles_the_wait_up_to_a_minute(more: int, seconds: float) -> None:
    assert after(FREE_FAILURES + more).wait(CLIENT, 0.0) == seconds


def test_the_wait_passes() -> None:
    it = after(FREE_FAILURES + 2, now=100.0)
    assert it.wait(CLIENT, 101.5) == 2.5
    assert it.wait(CLIENT, 104.0) == 0.0


def test_others_do_not_wait() -> None:
    assert after(100).wait("192.0.2.2", 0.0) == 0.0


def test_success_forgives() -> None:
    it = after(FREE_FAILURES)
    it.succeeded(CLIENT)
    assert it.wait(CLIENT, 0.0) == 0.0
    it.succeeded(CLIENT)


def test_failures_are_forgotten_after_a_while() -> None:
    it = after(FREE_FAILURES + 10)
    assert it.wait(CLIENT, FORGET_SECONDS) == 0.0
    it.failed(CLIENT, FORGET_SECONDS)
    assert it.wait(CLIENT, FORGET_SECONDS) == 0.0


def test_the_client_that_failed_longest_ago_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(penalty, "MAX_CLIENTS", 2)
    it = after(FREE_FAILURES)
    for other in ("192.0.2.2", "192.0.2.3"):
        it.failed(other, 1.0)
    assert it.wait(CLIENT, 1.0) == 0.0


def test_ten_thousand_guesses_take_a_week() -> None:
    it, now, guesses = FailurePenalty(), 0.0, 0
    while guesses < 10_000:
        now += it.wait(CLIENT, now)
        it.failed(CLIENT, now)
        guesses += 1
    assert now > 6.9 * 24 * 3600
