"""Measure everything: all scenarios, one after the other, and at the end the page and its pictures.

    python -m bench.run [--quick] [--rounds N] [--scenarios NAME,NAME] [--write | --no-write]
                        [--redraw]

Each scenario is a command of its own as well (`python -m bench.proxy`), with more options.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.options import ROUNDS
from bench.page import PAGE, RESULTS, ROOT, redraw
from bench.processes import end_in_order

# What a scenario may take to end all that it has started; on the WAN, what is being measured first.
END_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One command of the bench.

    Minutes are those of `ROUNDS` on two quiet cores, where no run was written down.
    """

    name: str
    module: str
    minutes: float
    quick_minutes: float


SCENARIOS = (
    Scenario("proxy", "bench.proxy", 15, 1),
    Scenario("tunnel", "bench.tunnels", 12, 1.5),
    Scenario("requests", "bench.requests_only", 8, 1.5),
    Scenario("wan", "bench.wan_run", 12, 2),
    Scenario("scale", "bench.scale", 6, 0.7),
    Scenario("cuts", "bench.cuts", 3, 0.5),
)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="one short round of each")
    parser.add_argument("--rounds", type=int, help="of each; else as many as each has by default")
    names = ", ".join(scenario.name for scenario in SCENARIOS)
    parser.add_argument("--scenarios", help=f"only these, comma between: {names}")
    parser.add_argument(
        "--write",
        action=argparse.BooleanOptionalAction,
        help="write the results and the page (default: of a whole run only)",
    )
    parser.add_argument(
        "--redraw", action="store_true", help="measure nothing, write from what is in bench/results"
    )
    return parser.parse_args(arguments)


def passed_on(options: argparse.Namespace) -> list[str]:
    """What each scenario's command is told."""
    given = ["--quick"] if options.quick else []
    if options.rounds:
        given += ["--rounds", str(options.rounds)]
    if options.write is not None:
        given.append("--write" if options.write else "--no-write")
    return given


def chosen(wanted: str | None) -> list[Scenario]:
    """The scenarios named, in their order. Raises `ValueError` for a name that is none."""
    names = wanted.split(",") if wanted else [scenario.name for scenario in SCENARIOS]
    if unknown := set(names) - {scenario.name for scenario in SCENARIOS}:
        raise ValueError(f"no scenario: {', '.join(sorted(unknown))}")
    return [scenario for scenario in SCENARIOS if scenario.name in names]


def minutes(scenario: Scenario, *, quick: bool, rounds: int | None, results: Path) -> float:
    """How long a scenario takes: as its last whole run here says, or as it usually does."""
    if quick:
        return scenario.quick_minutes * (rounds or 1)
    file = results / f"{scenario.name}.json"
    last = json.loads(file.read_text()) if file.exists() else {}
    if "took" in last:
        each = float(last["took"]) / 60 / int(last["rounds"])
        return each * (rounds or int(last["rounds"]))
    return scenario.minutes * (rounds or ROUNDS) / ROUNDS


def finished(command: Sequence[str]) -> int:
    """Run a scenario to its end; its exit code. Interrupted, it lets that end what it has started.

    In a group of its own, or Ctrl-C would reach it at once, and what is said here in the midst of
    its end.
    """
    with subprocess.Popen(command, cwd=ROOT, process_group=0) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            raise


def main(arguments: Sequence[str]) -> int:
    """Run every scenario; 1 when anything in any of them failed."""
    options = parsed(arguments)
    if options.redraw:
        redraw()
        return 0
    try:
        scenarios = chosen(options.scenarios)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    end_in_order()
    spans = [
        minutes(one, quick=options.quick, rounds=options.rounds, results=RESULTS)
        for one in scenarios
    ]
    print(f"{len(scenarios)} scenarios, about {sum(spans):.0f} minutes on a quiet machine")
    failed = []
    for number, scenario in enumerate(scenarios):
        clock, left = time.strftime("%H:%M:%S"), sum(spans[number:])
        place = f"{number + 1} of {len(scenarios)}, {clock}, about {left:.0f} minutes left"
        print(f"\n=== {scenario.name}: {place}", flush=True)
        command = [sys.executable, "-m", scenario.module, *passed_on(options)]
        if finished(command):
            failed.append(scenario.name)
    print(f"\nfailures in: {', '.join(failed)}" if failed else "\nnothing failed")
    print(f"the page: {PAGE.relative_to(ROOT)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
