"""Scenario 5: how underpass grows, from 1 to 10,000 streams and from 1 to 2,000 clients.

    python -m bench.scale [--quick] [--rounds N] [--only MEASUREMENT] [--write | --no-write]

There are no peers in it: each number of streams is compared with one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from statistics import median

from bench.chapters import scale as chapter
from bench.figures import US
from bench.options import parsed
from bench.processes import BenchError, end_in_order, raise_file_limit
from bench.programs.own import Underpass
from bench.report import Report
from bench.scale_clients import busy_server, many_clients
from bench.scale_streams import (
    FULL,
    QUICK,
    Effort,
    Found,
    Points,
    busy_exchanges,
    busy_streams,
    idle_streams,
    one_busy_stream,
)

# Each costs over a minute, and memory, which is half of it, hardly varies.
ROUNDS = 3

MEASUREMENTS: dict[str, Callable[[Effort], Iterator[tuple[Found, Points]]]] = {
    "idle-streams": idle_streams,
    "one-busy-stream": one_busy_stream,
    "busy-streams": busy_streams,
    "busy-exchanges": busy_exchanges,
    "many-clients": many_clients,
    "busy-server": busy_server,
}

# Curve key -> line -> where -> one value a round.
Collected = dict[str, dict[str, dict[float, list[float]]]]


def collect(collected: Collected, points: Points) -> None:
    """Add one round's points of the curves."""
    for key, lines in points.items():
        for line, (x, y) in lines.items():
            collected.setdefault(key, {}).setdefault(line, {}).setdefault(x, []).append(y)


def medians(collected: Collected) -> dict[str, dict[str, list[list[float]]]]:
    """The curves, each point the median of its rounds."""
    return {
        key: {line: [[x, median(ys)] for x, ys in at.items()] for line, at in lines.items()}
        for key, lines in collected.items()
    }


def measure(report: Report, name: str, effort: Effort, collected: Collected) -> None:
    """Make one measurement; what fails is noted."""
    try:
        for found, points in MEASUREMENTS[name](effort):
            for end, values in found.items():
                if values:
                    report.add(end, name, values)
            for key, lines in points.items():
                text = ", ".join(f"{line} {y:,.2f} at {x:,.0f}" for line, (x, y) in lines.items())
                print(f"    {key}: {text}", flush=True)
            collect(collected, points)
    except BenchError as error:
        report.fail(US, name, error)


def main(arguments: Sequence[str]) -> int:
    """Run the scenario; 1 when anything failed."""
    options = parsed("bench.scale", __doc__, list(MEASUREMENTS), arguments, ROUNDS)
    raise_file_limit()
    end_in_order()
    effort = QUICK if options.quick else FULL
    version = Underpass(US, "websocket").version() or "not here"
    report = Report(
        chapter.CHAPTER,
        options,
        {US: {"version": version, "remark": "server and client, one process each"}},
    )
    collected: Collected = {}
    for number in range(options.rounds):
        report.begin_round(number)
        for name in MEASUREMENTS:
            if options.only in (None, name):
                measure(report, name, effort, collected)
    report.curves = medians(collected)
    return report.finish(effort.seconds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
