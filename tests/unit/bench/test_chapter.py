"""The verdicts: who is ahead is said rightly whichever way is better."""

from __future__ import annotations

import pytest
from bench.chapter import Chapter
from bench.chapters import CHAPTERS, proxy
from bench.figures import Goal, Summary

CHAPTER = proxy.CHAPTER
RATE = CHAPTER.figure("connects")
MEMORY = CHAPTER.figure("memory-1000")


def measured(key: str, **programs: float) -> dict[str, dict[str, Summary]]:
    names = {name.replace("_", " "): value for name, value in programs.items()}
    return {name: {key: Summary(value, value, value, 1)} for name, value in names.items()}


def test_best_other_counts_neither_us_nor_yardsticks() -> None:
    found = measured("connects", direct=99, bare_relay=80, underpass=70, squid=50, pproxy=60)
    assert CHAPTER.best_other(RATE, found) == "pproxy"
    assert CHAPTER.best_other(RATE, found, ("squid", "tinyproxy")) == "squid"
    assert CHAPTER.best_other(RATE, found, ("tinyproxy",)) is None


def test_best_other_of_memory_is_the_smallest() -> None:
    assert CHAPTER.best_other(MEMORY, measured("memory-1000", squid=30, pproxy=10)) == "pproxy"


@pytest.mark.parametrize(
    ("programs", "expected"),
    [
        ({"underpass": 200, "squid": 100}, "underpass ahead of squid, 2.00 ×"),
        ({"underpass": 50, "squid": 100}, "**squid ahead of underpass, 2.00 ×**"),
        ({"underpass": 97, "squid": 100}, "level with squid"),
        ({"squid": 100}, "best: squid; underpass was not measured"),
        ({"underpass": 100, "direct": 300}, "no other program was measured"),
    ],
)
def test_verdict_names_the_winner(programs: dict[str, float], expected: str) -> None:
    assert CHAPTER.verdict(RATE, measured("connects", **programs)) == expected


def test_verdict_of_nothing_against_something_is_still_a_sentence() -> None:
    found = measured("stall", underpass=0.5, squid=0.0)
    assert (
        CHAPTER.verdict(CHAPTER.figure("stall"), found)
        == "**squid ahead of underpass, more than 100 ×**"
    )


def test_missed_is_empty_when_a_goal_is_held() -> None:
    goal = Goal("level or ahead", ("connects",), ("squid",))
    assert CHAPTER.missed(goal, measured("connects", underpass=96, squid=100)) == []


def test_missed_names_the_peer_and_the_ratio() -> None:
    goal = Goal("level or ahead", ("connects",), ("squid",))
    phrases = CHAPTER.missed(goal, measured("connects", underpass=50, squid=100, pproxy=900))
    assert phrases == ["CONNECT, one byte echoed, closed: 0.50 × squid"]


def test_missed_counts_what_was_not_measured() -> None:
    goal = Goal("level or ahead", ("connects",), ("squid",))
    assert CHAPTER.missed(goal, {}) == ["CONNECT, one byte echoed, closed: not measured"]
    alone = measured("connects", underpass=1)
    assert CHAPTER.missed(goal, alone) == ["CONNECT, one byte echoed, closed: no peer measured"]


@pytest.mark.parametrize(("kib", "held"), [(23.9, True), (24.1, False)])
def test_missed_holds_to_a_limit(kib: float, held: bool) -> None:
    goal = Goal("small", ("memory-1000",), limit=24)
    assert (CHAPTER.missed(goal, measured("memory-1000", underpass=kib)) == []) is held


@pytest.mark.parametrize(("ours", "held"), [(199, False), (200, True)])
def test_missed_holds_to_a_factor_without_tolerance(ours: float, held: bool) -> None:
    goal = Goal("twice", ("connects",), ("squid",), factor=2)
    assert (CHAPTER.missed(goal, measured("connects", underpass=ours, squid=100)) == []) is held


@pytest.mark.parametrize(("kib", "held"), [(120, True), (121, False)])
def test_missed_of_less_is_better_may_be_a_part_worse(kib: float, held: bool) -> None:
    goal = Goal("at most 1.2 times the best", ("memory-1000",), factor=1 / 1.2)
    found = measured("memory-1000", underpass=kib, squid=100)
    assert (CHAPTER.missed(goal, found) == []) is held


@pytest.mark.parametrize(("rate", "held"), [(900, True), (899, False)])
def test_missed_holds_to_a_floor(rate: float, held: bool) -> None:
    goal = Goal("fast", ("connects",), floor=900)
    assert (CHAPTER.missed(goal, measured("connects", underpass=rate)) == []) is held


def test_missed_looks_at_the_row_a_goal_names() -> None:
    goal = Goal("fast", ("connects",), floor=900, ours="underpass x2")
    found = measured("connects", underpass=1, underpass_x2=1000)
    assert CHAPTER.missed(goal, found) == []


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_chapter_speaks_of_figures_that_exist(chapter: Chapter) -> None:
    keys = [figure.key for figure in chapter.figures]
    assert len(set(keys)) == len(keys)
    assert {key for goal in chapter.goals for key in goal.keys} <= set(keys)
    assert {key for _, row in chapter.tables for key in row} == set(keys)
    assert all(not goal.ours or goal.ours in chapter.ours for goal in chapter.goals)
