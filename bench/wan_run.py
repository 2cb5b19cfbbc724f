"""Scenario 4, and 6 on the WAN: underpass beside other tunnels on long, narrow and lossy lines.

    python -m bench.wan_run [--quick] [--rounds N] [--only KIND] [--peers NAME,NAME] [--full]
                            [--write | --no-write]

Needs root, TUN and iproute2; without them it says so and ends with 1. `--full` measures every kind
of traffic on every line instead of what the goals need, for hours, and writes a file of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby

from bench.chapters.wan import CHAPTER
from bench.figures import US
from bench.generator import DIRECT
from bench.options import parsed
from bench.processes import BenchError, end_in_order, raise_file_limit
from bench.programs.chisel import Chisel
from bench.programs.gost import Gost
from bench.programs.openssh import Openssh
from bench.programs.own import Underpass
from bench.programs.present import chosen, described
from bench.programs.tunnel_program import TunnelProgram
from bench.programs.wstunnel import Wstunnel
from bench.programs.xray import Xray
from bench.report import Report
from bench.wan.cuts import cut
from bench.wan.load import Load
from bench.wan.namespaces import sweep, tcp_settings, unavailable
from bench.wan.plan import CELLS, EVERYTHING, Cell, figures, full, is_for, values
from bench.wan.stage import Stage, stage

PROGRAMS: tuple[TunnelProgram, ...] = (
    Underpass(US, "websocket"),
    Underpass("underpass stream", "stream"),
    Underpass("underpass poll", "poll"),
    Chisel(),
    Wstunnel(),
    Gost("gost wss", "Go, one WebSocket for each stream; TLS", "wss"),
    Gost("gost mwss", "Go, many streams in one WebSocket; TLS", "mwss"),
    Xray("Xray", "Go, VLESS, one WebSocket for each stream; TLS", "ws"),
    Openssh(),
)
# Lines of 20 Mbit/s leave most of two cores idle.
AT_ONCE = 4
# With more of them the whole takes more than a quarter of an hour.
ROUNDS = 3

# What one program did in one cell: by kind of traffic its figures, or what went wrong.
Outcome = list[tuple[str, dict[str, float] | BenchError]]


def measured(on: Stage, load: Load) -> dict[str, float]:
    """The figures of one load. Raises `BenchError`."""
    if load.kind in ("drop", "reset"):
        return cut(on, load)
    result = on.run(load)
    if load.kind.startswith("busy"):
        return {"more": result["p50"] - result["idle"], "more95": result["p95"] - result["idle"]}
    return result


def visit(cell: Cell, loads: Sequence[Load], program: TunnelProgram | None, seed: int) -> Outcome:
    """Everything of one program in one cell, on a network of its own."""
    outcome: Outcome = []
    try:
        with stage(cell.line, program, cell.congestion, seed) as on:
            for load in loads:
                try:
                    outcome.append((load.kind, values(load.kind, cell, measured(on, load))))
                except BenchError as error:
                    outcome.append((load.kind, error))
    except BenchError as error:
        outcome.append(("start", error))
    return outcome


class Run:
    """One run: who is measured on which lines."""

    def __init__(
        self, report: Report, cells: Sequence[Cell], programs: Sequence[TunnelProgram]
    ) -> None:
        self.report = report
        self.cells = cells
        self.programs: list[TunnelProgram | None] = [None, *programs]

    def round(self, number: int) -> None:
        """Measure everybody once; each round begins with another."""
        self.report.begin_round(number)
        turn = number % len(self.programs)
        order = self.programs[turn:] + self.programs[:turn]
        for alone, cells in groupby(self.cells, key=lambda cell: cell.alone):
            with ThreadPoolExecutor(1 if alone else AT_ONCE) as pool:
                begun = [
                    (cell, program, pool.submit(visit, cell, loads, program, number + 1))
                    for cell in cells
                    for program in order
                    if (loads := self._loads(cell, program))
                ]
                try:
                    for cell, program, future in begun:
                        self._tell(cell, program, future)
                finally:
                    # Whoever interrupts a round does not wait for the rest of it.
                    pool.shutdown(cancel_futures=True)

    def _loads(self, cell: Cell, program: TunnelProgram | None) -> list[Load]:
        options = self.report.options
        return [
            load
            for load in cell.loads(quick=options.quick)
            if options.only in (None, load.kind) and is_for(cell, load.kind, _name(program))
        ]

    def _tell(self, cell: Cell, program: TunnelProgram | None, future: Future[Outcome]) -> None:
        for kind, found in future.result():
            if isinstance(found, BenchError):
                self.report.fail(_name(program), f"{kind}, {cell.title}", found)
            else:
                self.report.add(_name(program), kind, found)


def _name(program: TunnelProgram | None) -> str:
    return program.name if program else DIRECT


def main(arguments: Sequence[str]) -> int:
    """Run the scenario; 1 when anything failed."""
    is_full = "--full" in arguments
    words = [word for word in arguments if word != "--full"]
    options = parsed("bench.wan_run", __doc__, EVERYTHING, words, ROUNDS)
    if reason := unavailable():
        print(f"no WAN can be made here: {reason}", file=sys.stderr)
        return 1
    sweep()
    end_in_order()
    raise_file_limit()
    cells = full() if is_full else CELLS
    programs = chosen(PROGRAMS, options)
    chapter = replace(CHAPTER, name="wan-full", figures=figures(cells)) if is_full else CHAPTER
    told = described(programs)
    told["TCP of this kernel"] = {"version": "", "remark": str(tcp_settings())}
    report = Report(chapter, options, told)
    run = Run(report, cells, [program for program, _ in programs])
    for number in range(options.rounds):
        run.round(number)
    return report.finish(3.0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
