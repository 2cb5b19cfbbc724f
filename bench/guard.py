"""Guards the speed that was reached: fails only on a fall that no noise explains.

    python -m bench.guard

It takes half a minute. Every figure is a ratio of processor times, a yardstick's by ours, measured
in turn, several pairs. Of each the least time counts, as other load on the machine only ever adds
to it, and a figure that falls short is measured once more before it is called a fall. What is least
and why stands in bench/guard.toml.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.guard_measurements import Pair, Pairs, measured
from bench.processes import BenchError, end_in_order

THRESHOLDS = Path(__file__).with_suffix(".toml")
# So many pairs of a figure; the least of three is steady on a machine that others use too.
PAIRS = 3
# And what is short of its least is looked at in so many more.
MORE_PAIRS = 5


@dataclass(frozen=True, slots=True)
class Threshold:
    """What one figure usually is, the least that passes, and why it can be held to that."""

    name: str
    usual: float
    least: float
    reason: str


def thresholds(text: str) -> tuple[Threshold, ...]:
    """Read the thresholds. Raises `TypeError` and `ValueError` for what is not a table of them."""
    found = tuple(Threshold(**table) for table in tomllib.loads(text)["figure"])
    for one in found:
        if not 0 < one.least < one.usual:
            raise ValueError(f"{one.name}: least is to be between 0 and usual")
    return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a figure stands, by all of its pairs."""

    threshold: Threshold
    pairs: tuple[Pair, ...]

    @property
    def ratio(self) -> float:
        """The yardstick's least time by our least; 0 where nothing was measured."""
        if not self.pairs:
            return 0.0
        least_of_ours = min(ours for _, ours in self.pairs)
        return min(yardstick for yardstick, _ in self.pairs) / least_of_ours

    @property
    def holds(self) -> bool:
        """Whether it reaches the least."""
        return self.ratio >= self.threshold.least

    def __str__(self) -> str:
        least, usual = self.threshold.least, self.threshold.usual
        if not self.pairs:
            return f"{self.threshold.name:<18} not measured: FALLEN"
        each = " ".join(f"{yardstick / ours:.3f}" for yardstick, ours in self.pairs)
        word = "held" if self.holds else f"FALLEN ({self.threshold.reason})"
        return (
            f"{self.threshold.name:<18} {self.ratio:.3f} of the yardstick, least {least:g}, "
            f"usually {usual:g}: {word}   [{each}]"
        )


def judged(asked: Iterable[Threshold], pairs: Pairs) -> list[Verdict]:
    """A verdict a threshold."""
    return [Verdict(one, tuple(pairs.get(one.name, ()))) for one in asked]


def guard(
    asked: Sequence[Threshold], measure: Callable[[Sequence[str], int], Pairs]
) -> list[Verdict]:
    """Measure all, and those that fall short once more. Raises as `measure`."""
    pairs = measure([one.name for one in asked], PAIRS)
    short = [verdict.threshold.name for verdict in judged(asked, pairs) if not verdict.holds]
    if short:
        for name, more in measure(short, MORE_PAIRS).items():
            pairs[name] = [*pairs.get(name, ()), *more]
    return judged(asked, pairs)


def main() -> int:
    """Measure and print; 1 where something has fallen."""
    end_in_order()
    try:
        verdicts = guard(thresholds(THRESHOLDS.read_text()), measured)
    except BenchError as error:
        print(f"the speed could not be measured: {error}")
        return 1
    print(*verdicts, sep="\n")
    fallen = [verdict.threshold.name for verdict in verdicts if not verdict.holds]
    if fallen:
        print(f"slower than any noise explains: {', '.join(fallen)}")
    return 1 if fallen else 0


if __name__ == "__main__":
    sys.exit(main())
