"""Scenario 3: tunnels where GET and POST alone pass, direct and through boxes.

    python -m bench.requests_only [--quick] [--rounds N] [--only MEASUREMENT] [--peers NAME,NAME]
                                  [--write | --no-write]

A box stores and forwards: nginx as a reverse proxy that buffers requests and responses, and one
that lets nothing go on before it is whole (`bench.held_box`), on a line of 100 Mbit/s. A program
through which nothing comes in the time has the figure 0.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench.boxes import BOXES, Box
from bench.chapters.requests_only import CHAPTER
from bench.options import parsed
from bench.programs.tunnels import REQUESTS_ONLY
from bench.tunnel_measurements import CONNECTS_AT_ONCE, Measurement, bulk, connects, ping_pong
from bench.tunnel_run import run_scenario


def through(box: Box | None) -> tuple[Measurement, ...]:
    """What is measured through every box, and without one."""
    before = f"{box.name}-" if box else ""
    return tuple(
        Measurement(before + name, run, (before + name,), box=box)
        for name, run in (
            ("bulk-down", lambda bench: bulk(bench, "down")),
            ("bulk-up", lambda bench: bulk(bench, "up")),
            ("pingpong-1", lambda bench: ping_pong(bench, 1)),
        )
    )


PLAN = (
    *through(None),
    Measurement("connects", connects, ("connects",), streams=CONNECTS_AT_ONCE),
    *(measurement for box in BOXES for measurement in through(box)),
)


def main(arguments: Sequence[str]) -> int:
    """Run the scenario; 1 when anything failed."""
    options = parsed("bench.requests_only", __doc__, [m.name for m in PLAN], arguments)
    return run_scenario(CHAPTER, options, PLAN, REQUESTS_ONLY)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
