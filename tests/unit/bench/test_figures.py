"""The statistics and verdicts: who is ahead is said rightly whichever way is better."""

from __future__ import annotations

import pytest
from bench.figures import (
    BY_KEY,
    FIGURES,
    GOALS,
    Goal,
    Summary,
    advantage,
    best_other,
    formatted,
    missed,
    summarise,
    verdict,
)

RATE = BY_KEY["connects"]
MEMORY = BY_KEY["memory-1000"]


def measured(key: str, **programs: float) -> dict[str, dict[str, Summary]]:
    names = {name.replace("_", " "): value for name, value in programs.items()}
    return {name: {key: Summary(value, value, value, 1)} for name, value in names.items()}


def test_summarise_gives_median_least_and_most() -> None:
    found = summarise({"squid": {"gets": [3.0, 9.0, 1.0, 4.0, 5.0]}})
    assert found == {"squid": {"gets": Summary(4.0, 1.0, 9.0, 5)}}


def test_summarise_leaves_out_what_never_succeeded() -> None:
    assert summarise({"squid": {"gets": []}}) == {"squid": {}}


@pytest.mark.parametrize(
    ("key", "ours", "theirs", "expected"),
    [
        ("connects", 200, 100, 2.0),
        ("connects", 50, 100, 0.5),
        ("memory-1000", 5, 10, 2.0),
        ("memory-1000", 20, 10, 0.5),
        ("stall", 0, 0, 1.0),
        ("stall", -0.1, 0.5, float("inf")),
        ("stall", 0.5, -0.1, 0.0),
    ],
)
def test_advantage_is_above_one_when_ahead(
    key: str, ours: float, theirs: float, expected: float
) -> None:
    assert advantage(BY_KEY[key], ours, theirs) == expected


def test_best_other_counts_neither_us_nor_yardsticks() -> None:
    found = measured("connects", direct=99, bare_relay=80, underpass=70, squid=50, pproxy=60)
    assert best_other(RATE, found) == "pproxy"
    assert best_other(RATE, found, ("squid", "tinyproxy")) == "squid"
    assert best_other(RATE, found, ("tinyproxy",)) is None


def test_best_other_of_memory_is_the_smallest() -> None:
    assert best_other(MEMORY, measured("memory-1000", squid=30, pproxy=10)) == "pproxy"


@pytest.mark.parametrize(
    ("programs", "expected"),
    [
        ({"underpass": 200, "squid": 100}, "underpass ahead of squid, 2.00 ×"),
        ({"underpass": 50, "squid": 100}, "**squid ahead of underpass, 2.00 ×**"),
        ({"underpass": 97, "squid": 100}, "level with squid"),
        ({"squid": 100}, "best: squid; underpass was not measured"),
        ({"underpass": 100, "direct": 300}, "no other proxy was measured"),
    ],
)
def test_verdict_names_the_winner(programs: dict[str, float], expected: str) -> None:
    assert verdict(RATE, measured("connects", **programs)) == expected


def test_verdict_of_nothing_against_something_is_still_a_sentence() -> None:
    found = measured("stall", underpass=0.5, squid=0.0)
    assert verdict(BY_KEY["stall"], found) == "**squid ahead of underpass, more than 100 ×**"


def test_missed_is_empty_when_a_goal_is_held() -> None:
    goal = Goal("level or ahead", ("connects",), ("squid",))
    assert missed(goal, measured("connects", underpass=96, squid=100)) == []


def test_missed_names_the_peer_and_the_ratio() -> None:
    goal = Goal("level or ahead", ("connects",), ("squid",))
    phrases = missed(goal, measured("connects", underpass=50, squid=100, pproxy=900))
    assert phrases == ["CONNECT, one byte echoed, closed: 0.50 × squid"]


def test_missed_counts_what_was_not_measured() -> None:
    goal = Goal("level or ahead", ("connects",), ("squid",))
    assert missed(goal, {}) == ["CONNECT, one byte echoed, closed: not measured"]
    alone = measured("connects", underpass=1)
    assert missed(goal, alone) == ["CONNECT, one byte echoed, closed: no peer measured"]


@pytest.mark.parametrize(("kib", "held"), [(23.9, True), (24.1, False)])
def test_missed_holds_to_a_limit(kib: float, held: bool) -> None:
    goal = Goal("small", ("memory-1000",), limit=24)
    assert (missed(goal, measured("memory-1000", underpass=kib)) == []) is held


def test_goals_speak_of_figures_that_exist() -> None:
    assert len(BY_KEY) == len(FIGURES)
    assert {key for goal in GOALS for key in goal.keys} <= set(BY_KEY)


def test_formatted_has_the_figures_own_decimals() -> None:
    assert formatted(BY_KEY["bulk-down"], 1.2345) == "1.23"
    assert formatted(RATE, 12345.6) == "12,346"
