"""Measure underpass beside its peers and write down what came out.

    python -m bench.run [--quick] [--rounds N] [--only MEASUREMENT] [--peers NAME,NAME]
                        [--write | --no-write] [--redraw]

Every round measures every program in every figure, one after the other, so that whatever else the
machine does meets all of them alike; each round begins with another program. The results of a whole
run go to bench/results/proxy.json and its pictures, and docs/performance.md is written from them;
a quick or partial run only prints.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.figures import BY_KEY, FIGURES, formatted, summarise
from bench.generator import DIRECT, Origin
from bench.page import write_page
from bench.peers import PEERS, Peer
from bench.picture import bar_chart
from bench.processes import BenchError, raise_file_limit
from bench.scenario import FULL, QUICK, Bench, Effort, Fleet, Measurement, measurements

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "performance.md"
ROUNDS = 5

Collected = dict[str, dict[str, list[float]]]


class Run:
    """One run of the bench: who is measured, and what was collected so far."""

    def __init__(self, effort: Effort, peers: Sequence[Peer], only: str | None) -> None:
        self.effort = effort
        self.peers: list[Peer | None] = [None, *peers]
        self.plan = [m for m in measurements(effort) if only is None or m.name == only]
        self.values: Collected = {_name(peer): {} for peer in self.peers}
        self.failures: list[str] = []

    def round(self, origin: Origin, number: int) -> None:
        """Measure everybody once; whoever fails is noted and the rest goes on."""
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
        name = _name(peer)
        try:
            with ExitStack() as stack:
                proxy = None
                if peer and measurement.fresh:
                    proxy = stack.enter_context(fleet.fresh(peer))
                elif peer:
                    proxy = fleet.take(peer)
                values = measurement.run(Bench(origin, self.effort, proxy))
        except BenchError as error:
            self.failures.append(f"{name}, {measurement.name}: {error}")
            print(f"  {measurement.name:<12} {name:<12} FAILED: {error}", flush=True)
            return
        for key, value in values.items():
            self.values[name].setdefault(key, []).append(value)
        print(f"  {measurement.name:<12} {name:<12} {_described(values)}", flush=True)


def _name(peer: Peer | None) -> str:
    return peer.name if peer else DIRECT


def _applies(measurement: Measurement, peer: Peer | None) -> bool:
    if peer is None:
        return measurement.direct_too
    if peer.only and measurement.name not in peer.only:
        return False
    return peer.forwards or not measurement.forwarding


def _described(values: dict[str, float]) -> str:
    parts = ((BY_KEY[key], value) for key, value in values.items())
    return ", ".join(f"{formatted(figure, value)} {figure.unit}" for figure, value in parts)


def machine() -> dict[str, Any]:
    """What the figures depend on besides the programs."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": os.cpu_count(),
        "processor": model[1] if model else platform.processor(),
        "memory_gib": round(pages * page / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def write_results(results: dict[str, Any]) -> None:
    """The JSON, a picture a figure, and the page."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "proxy.json").write_text(json.dumps(results, indent=1) + "\n")
    summaries = summarise(results["values"])
    for figure in FIGURES:
        bars = {program: s[figure.key] for program, s in summaries.items() if figure.key in s}
        picture = RESULTS / f"proxy-{figure.key}.svg"
        if bars:
            picture.write_text(bar_chart(figure, bars))
        else:
            picture.unlink(missing_ok=True)
    PAGE.write_text(write_page(results))


def print_summary(values: Collected) -> None:
    """Medians of every figure, best first, for the terminal."""
    summaries = summarise(values)
    for figure in FIGURES:
        rows = [(name, s[figure.key]) for name, s in summaries.items() if figure.key in s]
        rows.sort(key=lambda row: row[1].median, reverse=figure.higher_is_better)
        if rows:
            print(f"\n{figure.title} ({figure.unit})")
        for name, found in rows:
            least, most = formatted(figure, found.least), formatted(figure, found.most)
            print(f"  {name:<12} {formatted(figure, found.median):>10}   {least} to {most}")


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="one short round, under a minute")
    parser.add_argument("--rounds", type=int, help=f"{ROUNDS} (1 with --quick)")
    names = [measurement.name for measurement in measurements(FULL)]
    parser.add_argument("--only", choices=names, help="one measurement alone")
    parser.add_argument("--peers", help="only these programs, comma between")
    parser.add_argument(
        "--write",
        action=argparse.BooleanOptionalAction,
        help="write the files (default: of a whole run only)",
    )
    parser.add_argument(
        "--redraw", action="store_true", help="measure nothing, write from the JSON"
    )
    return parser.parse_args(arguments)


def is_whole(options: argparse.Namespace) -> bool:
    """Whether a run measures everybody in everything at full length."""
    return not (options.quick or options.only or options.peers)


def chosen_peers(wanted: str | None) -> dict[str, tuple[Peer, str]]:
    """The programs that are here (of those wanted), with their versions; says who is missing."""
    found = {}
    for peer in PEERS:
        if wanted and peer.name not in wanted.split(","):
            continue
        if version := peer.version():
            found[peer.name] = (peer, version)
        else:
            print(f"{peer.name} is not here and is left out (python -m bench.peers install)")
    return found


def main(arguments: Sequence[str]) -> int:
    """Run the bench; 1 when anything failed."""
    options = parsed(arguments)
    if options.redraw:
        write_results(json.loads((RESULTS / "proxy.json").read_text()))
        return 0
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    raise_file_limit()
    peers = chosen_peers(options.peers)
    effort = QUICK if options.quick else FULL
    run = Run(effort, [peer for peer, _ in peers.values()], options.only)
    began = time.time()
    origin = Origin()
    try:
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}, {time.time() - began:.0f} s", flush=True)
            run.round(origin, number)
    finally:
        origin.close()
    print_summary(run.values)
    if is_whole(options) if options.write is None else options.write:
        write_results(
            {
                "scenario": "proxy",
                "finished": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
                "command": " ".join(["python -m bench.run", *arguments]),
                "rounds": rounds,
                "seconds_each": effort.seconds,
                "machine": machine(),
                "programs": {n: {"version": v, "remark": p.remark} for n, (p, v) in peers.items()},
                "values": run.values,
                "failures": run.failures,
            }
        )
        print(f"\nwritten: {RESULTS.relative_to(ROOT)}/proxy.json, {PAGE.relative_to(ROOT)}")
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
