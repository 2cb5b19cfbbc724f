"""Guards the speed that was reached: fails only on a fall that no noise explains.

    python -m bench.guard

It takes half a minute. Every figure is a ratio of processor times, ours and a yardstick's, measured
one straight after the other, several pairs; other load on the machine slows both. The best pair
counts, as noise only ever makes one worse, and a figure that falls short is measured once more
before it is called a fall. What is least and why stands in bench/guard.toml.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.guard_measurements import Ratios, measured
from bench.processes import BenchError

THRESHOLDS = Path(__file__).with_suffix(".toml")
# So many pairs of a figure; the best of three is steady on a machine that others use too.
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
    """How a figure stands. `ratios` are those of all pairs."""

    threshold: Threshold
    ratios: tuple[float, ...]

    @property
    def holds(self) -> bool:
        """Whether the best pair reaches the least. One that was not measured does not."""
        return bool(self.ratios) and max(self.ratios) >= self.threshold.least

    def __str__(self) -> str:
        least, usual = self.threshold.least, self.threshold.usual
        if not self.ratios:
            return f"{self.threshold.name:<18} not measured: FALLEN"
        pairs = " ".join(f"{ratio:.3f}" for ratio in self.ratios)
        word = "held" if self.holds else f"FALLEN ({self.threshold.reason})"
        return (
            f"{self.threshold.name:<18} {max(self.ratios):.3f} of the yardstick, least {least:g}, "
            f"usually {usual:g}: {word}   [{pairs}]"
        )


def judged(asked: Iterable[Threshold], ratios: Ratios) -> list[Verdict]:
    """A verdict a threshold."""
    return [Verdict(one, tuple(ratios.get(one.name, ()))) for one in asked]


def guard(
    asked: Sequence[Threshold], measure: Callable[[Sequence[str], int], Ratios]
) -> list[Verdict]:
    """Measure all, and those that fall short once more. Raises as `measure`."""
    verdicts = judged(asked, measure([one.name for one in asked], PAIRS))
    short = [verdict.threshold.name for verdict in verdicts if not verdict.holds]
    if not short:
        return verdicts
    again = measure(short, MORE_PAIRS)
    return judged(asked, _together(verdicts, again))


def _together(verdicts: Iterable[Verdict], again: Mapping[str, Sequence[float]]) -> Ratios:
    return {
        verdict.threshold.name: [*verdict.ratios, *again.get(verdict.threshold.name, ())]
        for verdict in verdicts
    }


def main() -> int:
    """Measure and print; 1 where something has fallen."""
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
