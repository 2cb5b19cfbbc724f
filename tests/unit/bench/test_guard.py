"""The guard's verdicts: noise is forgiven, a fall is not, and what was not measured is told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from bench.guard import (
    MORE_PAIRS,
    PAIRS,
    THRESHOLDS,
    Threshold,
    Verdict,
    guard,
    judged,
    thresholds,
)
from bench.guard_measurements import IN_PROCESS, OVER_SOCKETS, Pair, Pairs

BULK = Threshold("bulk", usual=0.9, least=0.5, reason="it is spliced")
HELD: Pair = (1.0, 1.2)
SHORT: Pair = (1.0, 4.0)
OPEN = Threshold("open", usual=0.6, least=0.3, reason="it is short")


def pairs(*ours: float, yardstick: float = 1.0) -> tuple[Pair, ...]:
    """Pairs in which ours costs so much."""
    return tuple((yardstick, cost) for cost in ours)


@pytest.mark.parametrize(
    ("found", "holds"),
    [
        (pairs(1.1, 1.15, 1.05), True),
        # Somebody else's load in all but one of ours.
        (pairs(5.0, 1.9, 10.0), True),
        (pairs(2.1, 2.2, 2.3), False),
        # A yardstick that was disturbed once makes nobody look better.
        ((*pairs(2.1, 2.2), *pairs(2.3, yardstick=9.0)), False),
        ((), False),
    ],
)
def test_verdict_is_of_the_least_times(found: tuple[Pair, ...], holds: bool) -> None:
    assert Verdict(BULK, found).holds is holds


def test_verdict_says_the_figures() -> None:
    line = str(Verdict(BULK, pairs(1.25, 2.0)))
    assert "0.800 of the yardstick, least 0.5, usually 0.9: held" in line
    assert "[0.800 0.500]" in line


def test_verdict_says_what_has_fallen_and_why_it_matters() -> None:
    assert "FALLEN (it is spliced)" in str(Verdict(BULK, pairs(2.5)))
    assert "not measured: FALLEN" in str(Verdict(BULK, ()))


class Machine:
    """Gives what each measuring of a figure finds, in turn, and keeps what was asked."""

    def __init__(self, **found: list[list[Pair]]) -> None:
        self.found = found
        self.asked: list[tuple[list[str], int]] = []

    def measure(self, names: Sequence[str], count: int) -> Pairs:
        self.asked.append((list(names), count))
        return {name: self.found[name].pop(0) for name in names}


def holding(verdicts: list[Verdict]) -> list[bool]:
    return [verdict.holds for verdict in verdicts]


def test_guard_measures_once_where_all_holds() -> None:
    machine = Machine(bulk=[[HELD]], open=[[HELD]])
    assert holding(guard((BULK, OPEN), machine.measure)) == [True, True]
    assert machine.asked == [(["bulk", "open"], PAIRS)]


def test_guard_looks_again_at_what_falls_short_and_forgives_noise() -> None:
    machine = Machine(bulk=[[SHORT], [HELD]], open=[[HELD]])
    verdicts = guard((BULK, OPEN), machine.measure)
    assert holding(verdicts) == [True, True]
    assert verdicts[0].pairs == (SHORT, HELD)
    assert machine.asked[1:] == [(["bulk"], MORE_PAIRS)]


def test_guard_fails_what_falls_short_twice() -> None:
    machine = Machine(bulk=[[SHORT], [SHORT]], open=[[HELD]])
    assert holding(guard((BULK, OPEN), machine.measure)) == [False, True]


def test_judged_holds_nothing_against_figures_nobody_asked_for() -> None:
    assert holding(judged((BULK,), {"bulk": [HELD], "other": [SHORT]})) == [True]


def test_thresholds_of_the_repository_are_of_all_that_is_measured() -> None:
    found = thresholds(THRESHOLDS.read_text())
    assert {one.name for one in found} == {*OVER_SOCKETS, *IN_PROCESS}
    assert all(one.reason for one in found)


def test_thresholds_that_would_fail_at_the_usual_are_refused() -> None:
    table = '[[figure]]\nname = "bulk"\nusual = 0.5\nleast = 0.6\nreason = "none"\n'
    with pytest.raises(ValueError, match="least is to be between 0 and usual"):
        thresholds(table)
