"""One run of a scenario of tunnels: who is measured in what, round after round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.boxes import Box
from bench.chapter import Chapter
from bench.generator import DIRECT, Origin
from bench.options import Options
from bench.pairs import Pairs
from bench.processes import (
    BenchError,
    NeverUpError,
    StalledError,
    end_in_order,
    raise_file_limit,
)
from bench.programs.present import chosen, described
from bench.programs.tunnel_program import TunnelProgram
from bench.programs.tunnels import US_BOXED, US_DIRECT
from bench.report import Report
from bench.tunnel_measurements import FULL, QUICK, Bench, Effort, Measurement

# Programs that serve a single stream at a time: the others' figures would be theirs.
ONE_STREAM = ("httptunnel",)
# As long as its application sends, it brings nothing back: not the sink's reports either.
ONE_WAY = ("rathole",)


@dataclass(slots=True)
class Run:
    """A run under way. What stalled once is a stall in every round, and is not waited for again."""

    origin: Origin
    effort: Effort
    report: Report
    plan: Sequence[Measurement]
    programs: Sequence[TunnelProgram | None]
    _stalled: set[tuple[str, str | Box | None]] = field(default_factory=set)

    def round(self, number: int) -> None:
        """Measure everybody once; whoever fails is noted and the rest goes on."""
        self.report.begin_round(number)
        turn = number % len(self.programs)
        order = [*self.programs[turn:], *self.programs[:turn]]
        pairs = Pairs(self.origin)
        try:
            for measurement in self.plan:
                if number % measurement.every:
                    continue
                for program in order:
                    if applies(measurement, program):
                        self._measure(
                            Bench(pairs, self.effort, program, measurement.box), measurement
                        )
        finally:
            pairs.stop()

    def _measure(self, bench: Bench, measurement: Measurement) -> None:
        name = bench.program.name if bench.program else DIRECT
        marks = {(name, measurement.name), (name, measurement.box)}
        if marks & self._stalled:
            self._add_stall(name, measurement)
            return
        try:
            values = measurement.run(bench)
        except StalledError as error:
            print(f"  {measurement.name:<14} {name:<20} stalls: {error}", flush=True)
            up = not isinstance(error, NeverUpError)
            self._stalled.add((name, measurement.name if up else measurement.box))
            self._add_stall(name, measurement)
        except BenchError as error:
            self.report.fail(name, measurement.name, error)
        else:
            self.report.add(name, measurement.name, values)

    def _add_stall(self, name: str, measurement: Measurement) -> None:
        self.report.add(name, measurement.name, dict.fromkeys(measurement.rates, 0.0))


def applies(measurement: Measurement, program: TunnelProgram | None) -> bool:
    """Whether a measurement says something of a program."""
    if program is None:
        return measurement.direct_too and measurement.box is None
    if program == (US_DIRECT if measurement.box else US_BOXED):
        return False
    if measurement.name.endswith("bulk-up") and program.name in ONE_WAY:
        return False
    return measurement.streams == 1 or program.name not in ONE_STREAM


def run_scenario(
    chapter: Chapter,
    options: Options,
    plan: Sequence[Measurement],
    programs: Sequence[TunnelProgram],
) -> int:
    """Run one scenario; the command's exit code."""
    raise_file_limit()
    end_in_order()
    here = chosen(programs, options)
    effort = QUICK if options.quick else FULL
    report = Report(chapter, options, described(here))
    wanted = [m for m in plan if options.only in (None, m.name)]
    origin = Origin()
    try:
        run = Run(origin, effort, report, wanted, [None, *(program for program, _ in here)])
        for number in range(options.rounds):
            run.round(number)
    finally:
        origin.close()
    return report.finish(effort.seconds)
