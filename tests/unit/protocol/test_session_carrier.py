"""When a carrier is asked, when it is dead, and which numbers carriers have had."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.protocol.session_carrier import (
    ATTACH_SECONDS,
    MAX_CARRIERS,
    MAX_NUMBER_GAPS,
    MIN_KEEPALIVE_SECONDS,
    PROBE_SECONDS,
    SessionCarrier,
    SessionCarriers,
    Verdict,
)

NOW = 5000.0


def carrier(interval: float = 30.0) -> SessionCarrier:
    return SessionCarrier(2, interval, NOW)


def asked_for(carrier: SessionCarrier) -> bool:
    """Whether a PING is wanted, which is then sent."""
    wanted, carrier.ping_wanted = carrier.ping_wanted, False
    return wanted


def test_a_silent_carrier_is_asked_once_and_then_dead() -> None:
    one = carrier()
    assert one.next_check == NOW + 30
    assert one.check(NOW + 29.9) is Verdict.FINE
    assert not asked_for(one)
    assert one.check(NOW + 30) is Verdict.ASK
    assert asked_for(one)
    assert one.next_check == NOW + 60
    assert one.check(NOW + 59.9) is Verdict.FINE
    assert not asked_for(one)
    assert one.check(NOW + 60) is Verdict.DEAD


def test_a_carrier_that_answers_lives_on() -> None:
    one = carrier()
    for n in range(1, 5):
        assert one.check(NOW + 30 * n) is Verdict.ASK
        one.heard(NOW + 30 * n)
    assert one.next_check == NOW + 150


def test_it_is_asked_more_often_where_that_is_needed_but_not_without_bound() -> None:
    one = carrier()
    one.lower_interval(5.0)
    one.lower_interval(50.0)
    assert (one.interval, one.next_check) == (5.0, NOW + 5)
    one.asked(token=7, interval=2000)
    assert (one.interval, one.pong_token) == (2.0, 7)
    one.asked(token=0, interval=1)
    assert (one.interval, one.pong_token) == (MIN_KEEPALIVE_SECONDS, 7)
    one.asked(token=9, interval=0)
    assert (one.interval, one.pong_token) == (MIN_KEEPALIVE_SECONDS, 9)


def test_one_that_is_silent_longer_than_a_lowered_interval_is_asked_first() -> None:
    one = carrier()
    one.lower_interval(5.0)
    assert one.check(NOW + 20) is Verdict.ASK
    assert one.check(NOW + 24.9) is Verdict.FINE
    assert one.check(NOW + 25) is Verdict.DEAD


def test_after_sleep_it_has_three_seconds() -> None:
    one = carrier()
    late = NOW + 1000
    one.probe(late)
    assert asked_for(one)
    assert one.check(late + PROBE_SECONDS - 0.1) is Verdict.FINE
    assert one.check(late + PROBE_SECONDS) is Verdict.DEAD


def test_while_it_is_probed_nobody_is_to_be_called_before() -> None:
    one = carrier()
    one.probe(NOW + 1000)
    assert one.next_check == NOW + 1000 + PROBE_SECONDS


def test_after_sleep_one_that_answers_lives_on() -> None:
    one = carrier()
    one.probe(NOW + 1000)
    one.heard(NOW + 1001)
    assert one.check(NOW + 1000 + PROBE_SECONDS) is Verdict.FINE
    assert one.next_check == NOW + 1031


@given(st.lists(st.sampled_from(["check", "heard", "probe", "lower"]), max_size=30), st.data())
def test_whoever_is_called_when_he_wants_is_called_again_later(
    steps: list[str], data: st.DataObject
) -> None:
    one, now = carrier(), NOW
    for step in steps:
        now += data.draw(st.floats(0, 40))
        match step:
            case "check" if one.check(now) is Verdict.DEAD:
                return
            case "heard":
                one.heard(now)
            case "probe":
                one.probe(now)
            case "lower":
                one.lower_interval(data.draw(st.floats(0, 40)))
        at = max(now, one.next_check)
        if one.check(at) is Verdict.DEAD:
            return
        assert one.next_check > at


def test_what_it_is_shows() -> None:
    one = carrier()
    assert repr(one) == "<SessionCarrier 2 new, heard at 5000.000>"
    one.stands = True
    assert repr(one) == "<SessionCarrier 2 stands, heard at 5000.000>"


# --- all carriers of a session


def test_numbers_count_up() -> None:
    carriers = SessionCarriers(30.0)
    assert [carriers.add(carriers.next_number(), NOW).number for _ in range(3)] == [0, 1, 2]
    assert (carriers.numbers, len(carriers)) == ((0, 1, 2), 3)
    assert [one.interval for one in carriers] == [30.0] * 3


def test_a_number_that_was_used_stays_used() -> None:
    carriers = SessionCarriers(30.0)
    for number in (0, 1, 5):
        carriers.add(number, NOW)
    assert carriers.remove(1)
    assert not carriers.remove(1)
    assert carriers.numbers == (0, 5)
    assert [n for n in range(8) if carriers.was_used(n)] == [0, 1, 5]


def test_no_number_was_used_at_first() -> None:
    assert not SessionCarriers(30.0).was_used(0)


def test_numbers_with_many_gaps_between_cost_no_more() -> None:
    carriers = SessionCarriers(30.0)
    for number in range(0, 10_000, 2):
        assert not carriers.was_used(number)
        carriers.add(number, NOW)
        carriers.remove(number)
    # Of the newest every gap is known; below, all count as used.
    newest = range(10_000 - 2 * MAX_NUMBER_GAPS + 2, 10_000)
    assert [n for n in newest if carriers.was_used(n)] == list(newest[::2])
    assert all(carriers.was_used(n) for n in range(newest[0] - 1))


def test_the_most_silent_makes_room() -> None:
    carriers = SessionCarriers(30.0)
    for number in range(MAX_CARRIERS):
        assert carriers.supernumerary is None
        carriers.add(number, NOW + (number + 5) % MAX_CARRIERS)
    silent = carriers.supernumerary
    assert silent is not None
    assert silent.number == MAX_CARRIERS - 5


@pytest.mark.parametrize("numbers", [(3,), (3, 1), (7, 0, 2)])
def test_numbers_may_come_in_any_order(numbers: tuple[int, ...]) -> None:
    carriers = SessionCarriers(30.0)
    for number in numbers:
        assert not carriers.was_used(number)
        carriers.add(number, NOW)
    assert all(carriers.was_used(number) for number in numbers)


def test_an_attach_that_brings_nothing_is_dead_in_time() -> None:
    one = carrier()
    one.await_answer(NOW)
    assert not one.ping_wanted
    assert one.check(NOW + ATTACH_SECONDS - 0.1) is Verdict.FINE
    assert one.check(NOW + ATTACH_SECONDS) is Verdict.DEAD


def test_an_attach_that_is_answered_lives_on() -> None:
    one = carrier()
    one.await_answer(NOW)
    one.heard(NOW + 1)
    assert one.check(NOW + ATTACH_SECONDS) is Verdict.FINE
