"""Scenario 1: underpass as a proxy, beside other proxies.

    python -m bench.proxy [--quick] [--rounds N] [--only MEASUREMENT] [--peers NAME,NAME]
                          [--write | --no-write]

Every round measures every program in every figure, one after the other, so that whatever else the
machine does meets all of them alike; each round begins with another program. The results of a whole
run are written; a quick or partial run only prints.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack

from bench.chapters import proxy as chapter
from bench.generator import DIRECT, Origin
from bench.options import parsed
from bench.peers import PEERS, Peer
from bench.processes import BenchError, end_in_order, raise_file_limit
from bench.programs.present import chosen, described
from bench.proxy_measurements import FULL, QUICK, Bench, Effort, Fleet, Measurement, measurements
from bench.report import Report


class Run:
    """One run of the scenario: who is measured in what."""

    def __init__(self, effort: Effort, report: Report, peers: Sequence[Peer]) -> None:
        self.effort, self.report = effort, report
        self.peers: list[Peer | None] = [None, *peers]
        only = report.options.only
        self.plan = [m for m in measurements(effort) if only is None or m.name == only]

    def round(self, origin: Origin, number: int) -> None:
        """Measure everybody once; whoever fails is noted and the rest goes on."""
        self.report.begin_round(number)
        turn = number % len(self.peers)
        order = self.peers[turn:] + self.peers[:turn]
        fleet = Fleet()
        try:
            for measurement in self.plan:
                for peer in order:
                    if _applies(measurement, peer):
                        self._measure(origin, fleet, measurement, peer)
        finally:
            fleet.stop()

    def _measure(
        self, origin: Origin, fleet: Fleet, measurement: Measurement, peer: Peer | None
    ) -> None:
        name = peer.name if peer else DIRECT
        try:
            with ExitStack() as stack:
                proxy = None
                if peer and measurement.fresh:
                    proxy = stack.enter_context(fleet.fresh(peer))
                elif peer:
                    proxy = fleet.take(peer)
                entry = peer.entry if peer else "connect"
                values = measurement.run(Bench(origin, self.effort, proxy, entry))
        except BenchError as error:
            self.report.fail(name, measurement.name, error)
        else:
            self.report.add(name, measurement.name, values)


def _applies(measurement: Measurement, peer: Peer | None) -> bool:
    if peer is None:
        return measurement.direct_too
    if peer.only and measurement.name not in peer.only:
        return False
    return peer.forwards or not measurement.forwarding


def main(arguments: Sequence[str]) -> int:
    """Run the scenario; 1 when anything failed."""
    names = [measurement.name for measurement in measurements(FULL)]
    options = parsed("bench.proxy", __doc__, names, arguments)
    raise_file_limit()
    end_in_order()
    peers = chosen(PEERS, options)
    effort = QUICK if options.quick else FULL
    report = Report(chapter.CHAPTER, options, described(peers))
    run = Run(effort, report, [peer for peer, _ in peers])
    origin = Origin()
    try:
        for number in range(options.rounds):
            run.round(origin, number)
    finally:
        origin.close()
    return report.finish(effort.seconds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
