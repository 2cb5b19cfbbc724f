"""``python -m tests.simulation.run --seed 7 --trace``: one simulation, or many."""

from __future__ import annotations

import argparse
import sys

from tests.simulation.simulation import simulate


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--trace", action="store_true")
    options = parser.parse_args()
    outcome = simulate(options.seed, print if options.trace else None)
    print(outcome)
    return 1 if outcome.failure else 0


if __name__ == "__main__":
    sys.exit(main())
