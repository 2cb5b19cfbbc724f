"""When a session is to be called, and what it takes for sleep."""

from __future__ import annotations

from underpass.protocol.session_times import OVERDUE_CHECK_SECONDS, SLEPT_SECONDS, SessionTimes

NOW = 1000.0


def test_nothing_to_do_asks_for_no_call() -> None:
    assert SessionTimes(NOW).next([], NOW + 1, has_records=True) is None


def test_the_earliest_of_all_is_asked_for() -> None:
    times = SessionTimes(NOW)
    assert times.next([NOW + 30], None, has_records=False) == NOW + 30
    assert times.next([NOW + 30], None, has_records=True) == NOW + OVERDUE_CHECK_SECONDS
    assert times.next([NOW + 30], NOW + 0.5, has_records=True) == NOW + 0.5
    times.deadline = NOW + 0.1
    assert times.next([NOW + 30], NOW + 0.5, has_records=True) == NOW + 0.1


def test_an_ack_that_was_due_when_it_was_called_is_not_asked_for_again() -> None:
    times = SessionTimes(NOW)
    times.handled(NOW + 1)
    assert times.next([NOW + 30], NOW + 1, has_records=False) == NOW + 30


def test_records_are_looked_at_once_in_a_while() -> None:
    times = SessionTimes(NOW)
    due = NOW + OVERDUE_CHECK_SECONDS
    assert not times.is_check_due(due - 0.01)
    assert times.is_check_due(due)
    assert not times.is_check_due(due)


def test_a_call_much_too_late_is_sleep() -> None:
    times = SessionTimes(NOW)
    times.next([NOW + 30], None, has_records=False)
    assert not times.handled(NOW + 30 + SLEPT_SECONDS)
    assert times.handled(NOW + 30.01 + SLEPT_SECONDS)


def test_a_time_that_had_passed_when_it_was_told_is_no_sign_of_sleep() -> None:
    times = SessionTimes(NOW)
    times.asked_at = NOW + 100
    times.next([NOW + 1], None, has_records=False)
    assert not times.handled(NOW + 101)


def test_an_attach_that_nobody_answers_prolongs_no_grace_time() -> None:
    times = SessionTimes(NOW)
    times.detached(NOW, 60)
    times.deadline = None
    times.detached(NOW + 50, 60)
    assert not times.is_over(NOW + 59.9)
    assert times.is_over(NOW + 60)


def test_a_carrier_that_is_proved_does() -> None:
    times = SessionTimes(NOW)
    times.detached(NOW, 60)
    times.proved()
    times.detached(NOW + 50, 60)
    assert not times.is_over(NOW + 60)
    assert times.is_over(NOW + 110)
