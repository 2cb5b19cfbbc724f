"""Scenario 2: tunnels on a good network, both ends on this machine.

python -m bench.tunnels [--quick] [--rounds N] [--only MEASUREMENT] [--peers NAME,NAME]
                        [--write | --no-write]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench.chapters.tunnel import CHAPTER
from bench.options import parsed
from bench.programs.tunnels import GOOD_NETWORK
from bench.tunnel_measurements import (
    CONNECTS_AT_ONCE,
    IDLE_STREAMS,
    Measurement,
    bulk,
    connects,
    idle,
    ping_pong,
)
from bench.tunnel_run import run_scenario

PLAN = (
    Measurement("bulk-down", lambda bench: bulk(bench, "down"), ("bulk-down",)),
    Measurement("bulk-up", lambda bench: bulk(bench, "up"), ("bulk-up",)),
    Measurement("pingpong-1", lambda bench: ping_pong(bench, 1), ("pingpong-1",)),
    Measurement("pingpong-64", lambda bench: ping_pong(bench, 64), ("pingpong-64",), streams=64),
    Measurement("connects", connects, ("connects",), streams=CONNECTS_AT_ONCE),
    Measurement("memory", idle, (), streams=IDLE_STREAMS, direct_too=False, is_slow=True),
)


def main(arguments: Sequence[str]) -> int:
    """Run the scenario; 1 when anything failed."""
    options = parsed("bench.tunnels", __doc__, [m.name for m in PLAN], arguments)
    return run_scenario(CHAPTER, options, PLAN, GOOD_NETWORK)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
