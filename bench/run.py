"""Measure everything: all scenarios, one after the other, and at the end the page and its pictures.

    python -m bench.run [--quick] [--rounds N] [--scenarios NAME,NAME] [--write | --no-write]
                        [--redraw]

Each scenario is a command of its own as well (`python -m bench.proxy`), with more options.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence

from bench.page import PAGE, ROOT, redraw

# Name, module, minutes of a whole run of five rounds on two cores, minutes with --quick.
SCENARIOS = (
    ("proxy", "bench.proxy", 15.0, 1.0),
    ("tunnel", "bench.tunnels", 6.0, 1.0),
    ("requests", "bench.requests_only", 7.0, 2.0),
    ("cuts", "bench.cuts", 3.0, 0.5),
)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="one short round of each")
    parser.add_argument("--rounds", type=int, help="5 (1 with --quick)")
    parser.add_argument("--scenarios", help="only these, comma between")
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


def main(arguments: Sequence[str]) -> int:
    """Run every scenario; 1 when anything in any of them failed."""
    options = parsed(arguments)
    if options.redraw:
        redraw()
        return 0
    wanted = options.scenarios.split(",") if options.scenarios else None
    chosen = [scenario for scenario in SCENARIOS if wanted is None or scenario[0] in wanted]
    minutes = sum(quick if options.quick else whole for _, _, whole, quick in chosen)
    share = (options.rounds or 5) / 5 if not options.quick else 1
    print(f"{len(chosen)} scenarios, about {minutes * share:.0f} minutes on a quiet machine")
    failed = []
    for number, (name, module, *_) in enumerate(chosen):
        clock = time.strftime("%H:%M:%S")
        print(f"\n=== {name} ({number + 1} of {len(chosen)}), {clock}", flush=True)
        command = [sys.executable, "-m", module, *passed_on(options)]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(name)
    print(f"\nfailures in: {', '.join(failed)}" if failed else "\nnothing failed")
    print(f"the page: {PAGE.relative_to(ROOT)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
