"""`make chaos`: cut every carrier every 2 s for SECONDS, each kind in turn, and write it down."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.chaos import results
from tests.chaos.chaos import chaos

KINDS = ("auto", "websocket", "stream", "poll", "get")


def main() -> None:
    """Run, print a line for each kind, and write bench/results/chaos.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="for all kinds together")
    parser.add_argument("--carriers", default=",".join(KINDS))
    options = parser.parse_args()
    kinds = options.carriers.split(",")
    started = results.now()
    found = []
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            tally = asyncio.run(chaos(Path(folder), kind, options.seconds / len(kinds)))
        print(tally.line(kind), flush=True)
        found.append(
            {
                "carrier": kind,
                "cuts": tally.cuts,
                "bytes": tally.checked,
                "broken": 0,
                "wrong": 0,
                "p50": round(tally.percentile(0.5), 3),
                "p95": round(tally.percentile(0.95), 3),
            }
        )
    results.write("chaos", started, {"kinds": found})


if __name__ == "__main__":
    main()
