"""Figures, and the statistics over their rounds. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

US = "underpass"
# The same with both cores, beside tinyproxy's threads: no rival of itself.
US_TWICE = "underpass x2"
# Medians of five differ by this much between two runs of the same program on a shared machine.
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity: its key in the results, its unit as printed, which way is better."""

    key: str
    title: str
    unit: str
    higher_is_better: bool
    decimals: int = 0


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be held in every figure of `keys`, by the median.

    With `peers`: `factor` times as good as the best of them (for less is better: at most the best
    divided by `factor`); a factor of 1 means level, which is within `LEVEL`. With a `limit`: at
    most that; with a `floor`: at least that, both in the figure's unit. `ours` names the row that
    is held to it, else it is the chapter's first.
    """

    text: str
    keys: tuple[str, ...]
    peers: tuple[str, ...] = ()
    limit: float | None = None
    factor: float = 1.0
    floor: float | None = None
    ours: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """Median, least and most of one figure of one program over the rounds."""

    median: float
    least: float
    most: float
    rounds: int


# program -> figure key -> one value a round
Values = Mapping[str, Mapping[str, Sequence[float]]]
# program -> figure key -> summary
Summaries = Mapping[str, Mapping[str, Summary]]


def summarise(values: Values) -> dict[str, dict[str, Summary]]:
    """Reduce every list of rounds; a figure with no successful round is left out."""
    return {
        program: {
            key: Summary(median(rounds), min(rounds), max(rounds), len(rounds))
            for key, rounds in figures.items()
            if rounds
        }
        for program, figures in values.items()
    }


def summaries_of(results: Mapping[str, Any]) -> dict[str, dict[str, Summary]]:
    """The summaries of a results file."""
    return summarise(results["values"])


def formatted(figure: Figure, value: float) -> str:
    """`value` as the page prints it, without its unit."""
    return f"{value:,.{figure.decimals}f}"


def advantage(figure: Figure, ours: float, theirs: float) -> float:
    """How many times better `ours` is than `theirs`: above 1 is ahead, whichever way is better."""
    better, worse = (ours, theirs) if figure.higher_is_better else (theirs, ours)
    if worse <= 0:
        return 1.0 if better <= 0 else float("inf")
    return max(better, 0.0) / worse
