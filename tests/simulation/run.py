"""``python -m tests.simulation.run --seed 7 --trace`` replays one; ``--seeds 10000`` runs many."""

from __future__ import annotations

import argparse
import sys

from tests.simulation import campaign
from tests.simulation.simulation import simulate


def main() -> int:
    """Run what the command line asks for; 1 if a check did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this one")
    parser.add_argument("--trace", action="store_true", help="tell all that happens in it")
    parser.add_argument("--seeds", type=int, default=1000, help="how many to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seconds", type=float, default=3600, help="stop after so long")
    options = parser.parse_args()
    if options.seed is not None:
        return _replay(options.seed, trace=options.trace)
    figures = campaign.run(range(options.first, options.first + options.seeds), options.seconds)
    campaign.write(figures)
    print(figures.line())
    print(f"{figures.passed} passed, {len(figures.failed)} failed")
    return 1 if figures.failed else 0


def _replay(seed: int, *, trace: bool) -> int:
    outcome = simulate(seed, print if trace else None)
    print(outcome.failure or outcome)
    return 1 if outcome.failure else 0


if __name__ == "__main__":
    sys.exit(main())
