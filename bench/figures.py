"""The figures of the proxy scenario, and the statistics and verdicts over them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

US = "underpass"
# The same with both cores, beside tinyproxy's threads: no rival of itself.
US_TWICE = "underpass x2"
# Rows that are yardsticks, not proxies a user could choose.
YARDSTICKS = ("direct", "bare relay")
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


FIGURES = (
    Figure("bulk-down", "Bulk down, 1 tunnel", "GB/s", True, 2),
    Figure("bulk-up", "Bulk up, 1 tunnel", "GB/s", True, 2),
    Figure("cpu-down", "Processor time per GB down", "s/GB", False, 2),
    Figure("cpu-up", "Processor time per GB up", "s/GB", False, 2),
    Figure("pingpong-1", "Ping-pong, 1 tunnel", "messages/s", True),
    Figure("pingpong-1-p50", "Ping-pong, 1 tunnel, p50", "µs", False),
    Figure("pingpong-1-p99", "Ping-pong, 1 tunnel, p99", "µs", False),
    Figure("pingpong-64", "Ping-pong, 64 tunnels", "messages/s", True),
    Figure("pingpong-64-p50", "Ping-pong, 64 tunnels, p50", "µs", False),
    Figure("pingpong-64-p99", "Ping-pong, 64 tunnels, p99", "µs", False),
    Figure("connects", "CONNECT, one byte echoed, closed", "tunnels/s", True),
    Figure("gets", "Plain GET of 1 KiB forwarded", "requests/s", True),
    Figure("memory-1000", "Memory per idle tunnel at 1,000", "KiB", False, 1),
    Figure("memory-5000", "Memory per idle tunnel at 5,000", "KiB", False, 1),
    Figure("stall", "Memory growth under a stalled reader", "MiB", False, 2),
)
BY_KEY = {figure.key: figure for figure in FIGURES}


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


def best_other(figure: Figure, summaries: Summaries, named: Sequence[str] = ()) -> str | None:
    """The best proxy but underpass (of those `named`, if any) in a figure; None if none has it."""
    others = [
        program
        for program, figures in summaries.items()
        if program not in (US, US_TWICE, *YARDSTICKS) and figure.key in figures
    ]
    if named:
        others = [program for program in others if program in named]
    if not others:
        return None
    choose = max if figure.higher_is_better else min
    return choose(others, key=lambda program: summaries[program][figure.key].median)


def verdict(figure: Figure, summaries: Summaries) -> str:
    """One sentence: how underpass stands against the best other proxy in this figure."""
    best = best_other(figure, summaries)
    if best is None:
        return "no other proxy was measured"
    theirs = summaries[best][figure.key].median
    if figure.key not in summaries.get(US, {}):
        return f"best: {best}; underpass was not measured"
    ratio = advantage(figure, summaries[US][figure.key].median, theirs)
    if abs(ratio - 1) <= LEVEL:
        return f"level with {best}"
    if ratio > 1:
        return f"underpass ahead of {best}, {_times(ratio)}"
    return f"**{best} ahead of underpass, {_times(1 / ratio if ratio else float('inf'))}**"


def _times(ratio: float) -> str:
    return f"{ratio:.2f} ×" if ratio < 100 else "more than 100 ×"


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be held: level or better than the `peers` in the figures, or below a `limit`."""

    text: str
    keys: tuple[str, ...]
    peers: tuple[str, ...] = ()
    limit: float | None = None


ALL_KEYS = tuple(figure.key for figure in FIGURES)
TRAFFIC_KEYS = (
    "bulk-down",
    "bulk-up",
    "pingpong-1",
    "pingpong-1-p50",
    "pingpong-1-p99",
    "pingpong-64",
    "pingpong-64-p50",
    "pingpong-64-p99",
    "connects",
)
GOALS = (
    Goal("level with or ahead of pproxy and proxy.py in all", ALL_KEYS, ("pproxy", "proxy.py")),
    Goal(
        "level with or ahead of squid and tinyproxy in bulk, ping-pong and CONNECT/s",
        TRAFFIC_KEYS,
        ("squid", "tinyproxy"),
    ),
    Goal("at most 24 KiB a tunnel", ("memory-1000", "memory-5000"), limit=24),
    Goal("at most 1 MiB under a stalled reader", ("stall",), limit=1),
)


def missed(goal: Goal, summaries: Summaries) -> list[str]:
    """Where a goal is not held, a phrase each; empty when it is held. Unmeasured is not held."""
    phrases = []
    for figure in (BY_KEY[key] for key in goal.keys):
        ours = summaries.get(US, {}).get(figure.key)
        if ours is None:
            phrases.append(f"{figure.title}: not measured")
        elif goal.limit is not None:
            if ours.median > goal.limit:
                text = formatted(figure, ours.median)
                phrases.append(f"{figure.title}: {text} {figure.unit}")
        elif best := best_other(figure, summaries, goal.peers):
            ratio = advantage(figure, ours.median, summaries[best][figure.key].median)
            if ratio < 1 - LEVEL:
                phrases.append(f"{figure.title}: {ratio:.2f} × {best}")
        else:
            phrases.append(f"{figure.title}: no peer measured")
    return phrases
