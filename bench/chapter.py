"""A chapter of docs/performance.md: what one scenario measures, and the verdicts over it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.figures import LEVEL, US, Figure, Goal, Summaries, Summary, advantage, formatted

# Why a goal is not held where there was nobody to compare with.
NO_PEER = "no peer measured"


@dataclass(frozen=True, slots=True)
class Curve:
    """A quantity over how many there are: its key in the results' `curves`, the titles of its axes.

    The results hold `{line: [[x, y], ...]}` for it. `logarithmic` is the horizontal axis alone.
    """

    key: str
    title: str
    across: str
    upward: str
    decimals: int = 0
    logarithmic: bool = True


@dataclass(frozen=True, slots=True)
class Chapter:
    """One scenario's part of docs/performance.md: what is measured, what is to be held, its words.

    `name` is also that of results/NAME.json. `tables`: a heading and the keys of the figures that
    stand side by side. `how` is Markdown, its headings of the fourth level: how it is measured and
    what it cannot say. `yardsticks` are rows that are no rivals; `ours` are our rows, verdicts take
    the first unless a goal names another.
    """

    name: str
    title: str
    figures: tuple[Figure, ...]
    tables: tuple[tuple[str, tuple[str, ...]], ...]
    goals: tuple[Goal, ...]
    how: str
    yardsticks: tuple[str, ...] = ()
    ours: tuple[str, ...] = (US,)
    curves: tuple[Curve, ...] = ()

    def figure(self, key: str) -> Figure:
        """The figure of that key. Raises `KeyError`."""
        return {figure.key: figure for figure in self.figures}[key]

    def best_other(
        self, figure: Figure, summaries: Summaries, named: Sequence[str] = ()
    ) -> str | None:
        """The best rival (of those `named`, if any) in a figure; None if none has it."""
        others = [
            program
            for program, figures in summaries.items()
            if program not in (*self.ours, *self.yardsticks)
            and figure.key in figures
            and (not named or program in named)
        ]
        if not others:
            return None
        choose = max if figure.higher_is_better else min
        return choose(others, key=lambda program: summaries[program][figure.key].median)

    def verdict(self, figure: Figure, summaries: Summaries) -> str:
        """One phrase: how our first row stands against the best rival in this figure."""
        us = self.ours[0]
        best = self.best_other(figure, summaries)
        if best is None:
            return "no other program was measured"
        theirs = summaries[best][figure.key].median
        if figure.key not in summaries.get(us, {}):
            return f"best: {best}; {us} was not measured"
        ratio = advantage(figure, summaries[us][figure.key].median, theirs)
        if abs(ratio - 1) <= LEVEL:
            return f"level with {best}"
        if ratio > 1:
            return f"{us} ahead of {best}, {_times(ratio)}"
        return f"**{best} ahead of {us}, {_times(1 / ratio if ratio else float('inf'))}**"

    def missed(self, goal: Goal, summaries: Summaries) -> list[str]:
        """A phrase for each figure in which a goal is not held; unmeasured is not held."""
        ours = summaries.get(goal.ours or self.ours[0], {})
        phrases = []
        for figure in map(self.figure, goal.keys):
            if figure.key not in ours:
                phrases.append(f"{figure.title}: not measured")
            elif phrase := self._short_of(goal, figure, ours[figure.key], summaries):
                phrases.append(f"{figure.title}: {phrase}")
        return phrases

    def _short_of(
        self, goal: Goal, figure: Figure, ours: Summary, summaries: Summaries
    ) -> str | None:
        """By how much one figure falls short of a goal; None when it does not."""
        above = goal.limit is not None and ours.median > goal.limit
        if above or (goal.floor is not None and ours.median < goal.floor):
            return f"{formatted(figure, ours.median)} {figure.unit}"
        if goal.limit is not None or goal.floor is not None:
            return None
        best = self.best_other(figure, summaries, goal.peers)
        if best is None:
            return NO_PEER
        ratio = advantage(figure, ours.median, summaries[best][figure.key].median)
        wanted = goal.factor if goal.factor != 1 else 1 - LEVEL
        return f"{ratio:.2f} × {best}" if ratio < wanted else None


def _times(ratio: float) -> str:
    return f"{ratio:.2f} ×" if ratio < 100 else "more than 100 ×"
