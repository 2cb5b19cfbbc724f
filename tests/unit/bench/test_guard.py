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
from bench.guard_measurements import IN_PROCESS, OVER_SOCKETS, Ratios

BULK = Threshold("bulk", usual=0.9, least=0.5, reason="it is spliced")
OPEN = Threshold("open", usual=0.6, least=0.3, reason="it is short")


@pytest.mark.parametrize(
    ("ratios", "holds"),
    [
        ((0.9, 0.88, 0.91), True),
        # Somebody else's load in all but one pair.
        ((0.2, 0.5, 0.1), True),
        ((0.49, 0.48, 0.47), False),
        ((), False),
    ],
)
def test_verdict_is_of_the_best_pair(ratios: tuple[float, ...], holds: bool) -> None:
    assert Verdict(BULK, ratios).holds is holds


def test_verdict_says_the_figures() -> None:
    line = str(Verdict(BULK, (0.75, 0.8)))
    assert "0.800 of the yardstick, least 0.5, usually 0.9: held" in line
    assert "[0.750 0.800]" in line


def test_verdict_says_what_has_fallen_and_why_it_matters() -> None:
    assert "FALLEN (it is spliced)" in str(Verdict(BULK, (0.4,)))
    assert "not measured: FALLEN" in str(Verdict(BULK, ()))


class Machine:
    """Gives what each measuring of a figure finds, in turn, and keeps what was asked."""

    def __init__(self, **found: list[list[float]]) -> None:
        self.found = found
        self.asked: list[tuple[list[str], int]] = []

    def measure(self, names: Sequence[str], pairs: int) -> Ratios:
        self.asked.append((list(names), pairs))
        return {name: self.found[name].pop(0) for name in names}


def holding(verdicts: list[Verdict]) -> list[bool]:
    return [verdict.holds for verdict in verdicts]


def test_guard_measures_once_where_all_holds() -> None:
    machine = Machine(bulk=[[0.9]], open=[[0.6]])
    assert holding(guard((BULK, OPEN), machine.measure)) == [True, True]
    assert machine.asked == [(["bulk", "open"], PAIRS)]


def test_guard_looks_again_at_what_falls_short_and_forgives_noise() -> None:
    machine = Machine(bulk=[[0.4], [0.8]], open=[[0.6]])
    verdicts = guard((BULK, OPEN), machine.measure)
    assert holding(verdicts) == [True, True]
    assert verdicts[0].ratios == (0.4, 0.8)
    assert machine.asked[1:] == [(["bulk"], MORE_PAIRS)]


def test_guard_fails_what_falls_short_twice() -> None:
    machine = Machine(bulk=[[0.4], [0.41]], open=[[0.6]])
    assert holding(guard((BULK, OPEN), machine.measure)) == [False, True]


def test_judged_holds_nothing_against_figures_nobody_asked_for() -> None:
    assert holding(judged((BULK,), {"bulk": [0.9], "other": [0.0]})) == [True]


def test_thresholds_of_the_repository_are_of_all_that_is_measured() -> None:
    found = thresholds(THRESHOLDS.read_text())
    assert {one.name for one in found} == {*OVER_SOCKETS, *IN_PROCESS}
    assert all(one.reason for one in found)


def test_thresholds_that_would_fail_at_the_usual_are_refused() -> None:
    table = '[[figure]]\nname = "bulk"\nusual = 0.5\nleast = 0.6\nreason = "none"\n'
    with pytest.raises(ValueError, match="least is to be between 0 and usual"):
        thresholds(table)
