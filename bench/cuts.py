"""Scenario 6: what becomes of streams whose carrier is cut every 5 s.

    python -m bench.cuts [--quick] [--rounds N] [--peers NAME,NAME] [--write | --no-write]

All programs run at once, each with a relay of its own between its ends, which resets all that
crosses it; their applications send little, so that they are not in each other's way.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import uvloop

from bench.chapters.cuts import CHAPTER
from bench.cutter import Cutter, cutter_before
from bench.generator import Origin
from bench.options import parsed
from bench.pairs import destination
from bench.processes import BenchError, end_in_order, raise_file_limit
from bench.programs.launch import split
from bench.programs.present import chosen, described
from bench.programs.tunnel_program import Place, TunnelProgram
from bench.programs.tunnels import CARRIERS_CUT
from bench.report import Report
from bench.steady import Account, Steady

STREAMS = 8
CUT_EVERY = 5.0
FULL_CUTS, QUICK_CUTS = 3, 1
# Before the first cut, every stream is open and has brought something.
WARM_SECONDS = 1.5
# One program's cuts after another's, so that they do not all come back at the same moment.
STAGGER = 0.4
MILLI = 1e3

Values = dict[str, float]


@dataclass(frozen=True, slots=True)
class Round:
    """What a round's measurements share. One tunnel starts at a time: ports are looked for."""

    origin: Origin
    cuts: int
    report: Report
    tasks: asyncio.TaskGroup
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def measure(self, program: TunnelProgram, wait: float) -> None:
        """Measure one program, its first cut `wait` seconds after it is warm."""
        try:
            values = figures(await self._accounts(program, wait))
        except BenchError as error:
            self.report.fail(program.name, "cuts", error)
        else:
            self.report.add(program.name, "cuts", values)

    async def _accounts(self, program: TunnelProgram, wait: float) -> list[Account]:
        """Start a tunnel and let it be used and cut. Raises `BenchError`."""
        where = destination(self.origin, "echo")
        async with AsyncExitStack() as stack:
            folder = tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)
            place = Place(Path(stack.enter_context(folder)))
            async with self.starting:
                server = await asyncio.to_thread(program.start_server, place, where)
                stack.push_async_callback(asyncio.to_thread, server.stop)
                cutter = await stack.enter_async_context(
                    cutter_before(split(server.address), self.tasks)
                )
                client = await asyncio.to_thread(program.start_client, place, cutter.address, where)
                stack.push_async_callback(asyncio.to_thread, client.stop)
            streams = [Steady(client.address, program.entry, where) for _ in range(STREAMS)]
            await self._use(streams, cutter, wait)
        return [stream.account for stream in streams]

    async def _use(self, streams: Sequence[Steady], cutter: Cutter, wait: float) -> None:
        async with asyncio.TaskGroup() as tasks:
            for stream in streams:
                tasks.create_task(stream.run())
            await asyncio.sleep(WARM_SECONDS + wait)
            for _ in range(self.cuts):
                cutter.cut()
                for stream in streams:
                    stream.cut()
                await asyncio.sleep(CUT_EVERY)
            for stream in streams:
                stream.end()


def figures(accounts: Sequence[Account]) -> Values:
    """The figures of one program in one round. Raises `BenchError` for wrong bytes."""
    if any(account.wrong for account in accounts):
        raise BenchError("wrong bytes came back")
    pauses = sorted(pause for account in accounts for pause in account.pauses)
    if len(pauses) < 2:
        raise BenchError("no stream was ever open")
    parts = quantiles(pauses, n=20, method="inclusive")
    return {
        "lost": float(sum(account.lost for account in accounts)),
        "broken": float(sum(account.broken for account in accounts)),
        "resume-p50": parts[9] * MILLI,
        "resume-p95": parts[18] * MILLI,
    }


async def run_round(
    programs: Sequence[TunnelProgram], origin: Origin, cuts: int, report: Report
) -> None:
    """Measure everybody at once."""
    async with asyncio.TaskGroup() as tasks:
        together = Round(origin, cuts, report, tasks)
        for number, program in enumerate(programs):
            tasks.create_task(together.measure(program, number * STAGGER))


def main(arguments: Sequence[str]) -> int:
    """Run the scenario; 1 when anything failed."""
    options = parsed("bench.cuts", __doc__, ["cuts"], arguments)
    raise_file_limit()
    end_in_order()
    here = chosen(CARRIERS_CUT, options)
    report = Report(CHAPTER, options, described(here))
    cuts = QUICK_CUTS if options.quick else FULL_CUTS
    origin = Origin()
    try:
        for number in range(options.rounds):
            report.begin_round(number)
            uvloop.run(run_round([program for program, _ in here], origin, cuts, report))
    finally:
        origin.close()
    return report.finish(cuts * CUT_EVERY)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
