"""The statistics over the rounds."""

from __future__ import annotations

import pytest
from bench.chapters import proxy
from bench.figures import Summary, advantage, formatted, summarise

FIGURE = proxy.CHAPTER.figure


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
    assert advantage(FIGURE(key), ours, theirs) == expected


def test_formatted_has_the_figures_own_decimals() -> None:
    assert formatted(FIGURE("bulk-down"), 1.2345) == "1.23"
    assert formatted(FIGURE("connects"), 12345.6) == "12,346"
