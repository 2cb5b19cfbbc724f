"""The applications at the near end of the WAN: one kind of traffic a run, figures as JSON.

    python -m bench.wan.traffic KIND --entry socks5|connect|forward|direct --address HOST:PORT
                                [--seconds S] [--warmup S] [--count N]

Every byte that comes down is compared with the pattern. Times are of CLOCK_MONOTONIC, which all
namespaces share. Runs in the client's namespace; ends with a reason and 1 when anything is wrong,
or `BROKEN` when a stream broke.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import uvloop

from bench.wan.entry import Ends, Way, parse_way
from bench.wan.load import BROKEN
from bench.wan.namespaces import SERVER_ADDRESS
from bench.wan.origin import GREETING_PORT, PIECE, PORTS, TOTAL, pattern_at
from bench.wan.page_load import load_page

MESSAGE = 64
# Between two ping-pongs: like fast typing, and no load of its own.
PAUSE = 0.02
# Longer than any answer takes on a line that works.
PATIENCE = 30.0
Figures = dict[str, Any]


class WrongBytesError(Exception):
    """Other bytes came than were sent."""


@dataclass(frozen=True, slots=True)
class Task:
    """What to do, and for how long; times in seconds."""

    way: Way
    seconds: float
    warmup: float
    count: int


class Transfer:
    """One bulk transfer and what it has moved, checked."""

    def __init__(self) -> None:
        self.total = 0
        self.arrivals: list[float] = []

    async def down(self, way: Way) -> None:
        """Take in what the source pushes, until cancelled."""
        reader, writer = await way.open(PORTS[0], first=b"s")
        try:
            while data := await reader.read(PIECE):
                if data != pattern_at(self.total, len(data)):
                    raise WrongBytesError(f"wrong bytes at {self.total}")
                self._moved(len(data))
            raise ConnectionError("the transfer ended")
        finally:
            writer.transport.abort()

    async def up(self, way: Way) -> None:
        """Push, and count what the sink reports, until cancelled."""
        ends = await way.open(PORTS[0], first=b"k")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._push(ends[1]))
                tasks.create_task(self._count(ends[0]))
        finally:
            ends[1].transport.abort()

    async def _push(self, writer: asyncio.StreamWriter) -> None:
        position = 0
        while True:
            writer.write(pattern_at(position, PIECE))
            position += PIECE
            await writer.drain()

    async def _count(self, reader: asyncio.StreamReader) -> None:
        while True:
            report = await reader.readexactly(TOTAL.size)
            self._moved(TOTAL.unpack(report)[0] - self.total)

    def _moved(self, size: int) -> None:
        self.total += size
        self.arrivals.append(time.monotonic())


async def _rate(task: Task, transfers: list[Transfer]) -> list[float]:
    """Bytes a second of each over the measured time."""
    await asyncio.sleep(task.warmup)
    before, began = [transfer.total for transfer in transfers], time.monotonic()
    await asyncio.sleep(task.seconds)
    passed = time.monotonic() - began
    return [(t.total - b) / passed for t, b in zip(transfers, before, strict=True)]


async def _beside(
    work: list[Callable[[Way], Awaitable[None]]], way: Way, measured: Awaitable[Any]
) -> Any:
    """Run transfers until `measured` is done; its result."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_endless(one, way)) for one in work]
        result = await measured
        for one in running:
            one.cancel()
    return result


async def _endless(work: Callable[[Way], Awaitable[None]], way: Way) -> None:
    await work(way)


async def bulk_down(task: Task) -> Figures:
    """One transfer down; Mbit/s."""
    transfer = Transfer()
    rates = await _beside([transfer.down], task.way, _rate(task, [transfer]))
    return {"mbit": rates[0] * 8 / 1e6}


async def bulk_up(task: Task) -> Figures:
    """One transfer up, as it arrives; Mbit/s."""
    transfer = Transfer()
    rates = await _beside([transfer.up], task.way, _rate(task, [transfer]))
    return {"mbit": rates[0] * 8 / 1e6}


async def fair(task: Task) -> Figures:
    """`count` transfers down at once: Jain's index of their rates, and all together."""
    transfers = [Transfer() for _ in range(task.count)]
    rates = await _beside([t.down for t in transfers], task.way, _rate(task, transfers))
    squares = sum(rate * rate for rate in rates)
    jain = sum(rates) ** 2 / (len(rates) * squares) if squares else 0.0
    return {"jain": jain, "mbit": sum(rates) * 8 / 1e6}


async def _timed(opened: Awaitable[Ends]) -> float:
    """Milliseconds until the first byte of the destination is here."""
    began = time.monotonic()
    async with asyncio.timeout(PATIENCE):
        reader, writer = await opened
        if not await reader.read(1):
            raise ConnectionError("ended before its first byte")
    passed = time.monotonic() - began
    writer.transport.abort()
    return passed * 1000


async def first_byte(task: Task) -> Figures:
    """New streams, one after the other: until the first byte that the destination sends."""
    way = task.way
    asked, rash, greeted = [], [], []
    for _ in range(task.count):
        asked.append(await _timed(way.open(PORTS[0], first=b"e?")))
        rash.append(await _timed(way.open_rashly(PORTS[0], b"e?")))
        if way.entry != "forward":
            greeted.append(await _timed(way.open(GREETING_PORT)))
    figures = {"asked": statistics.median(asked), "rash": statistics.median(rash)}
    return {**figures, "greeted": statistics.median(greeted)} if greeted else figures


class Pings:
    """A stream with one message under way at a time."""

    def __init__(self, ends: Ends) -> None:
        self._reader, self._writer = ends
        self.sent: list[tuple[float, float]] = []

    async def run(self, until: float) -> list[float]:
        """Ping until that time; milliseconds of each."""
        found = []
        while time.monotonic() < until:
            message = pattern_at(len(self.sent), MESSAGE)
            began = time.monotonic()
            self._writer.write(message)
            async with asyncio.timeout(PATIENCE):
                if await self._reader.readexactly(MESSAGE) != message:
                    raise WrongBytesError("a wrong message came back")
            ended = time.monotonic()
            self.sent.append((began, ended))
            found.append((ended - began) * 1000)
            await asyncio.sleep(PAUSE)
        return found


async def _busy(task: Task, work: Callable[[Way], Awaitable[None]]) -> Figures:
    pings = Pings(await task.way.open(PORTS[0], first=b"e"))
    idle = await pings.run(time.monotonic() + min(1.0, task.warmup))

    async def measured() -> list[float]:
        await asyncio.sleep(task.warmup)
        return await pings.run(time.monotonic() + task.seconds)

    busy = await _beside([work], task.way, measured())
    busy.sort()
    return {
        "idle": statistics.median(idle),
        "p50": statistics.median(busy),
        "p95": busy[int(0.95 * (len(busy) - 1))],
    }


async def busy_down(task: Task) -> Figures:
    """Ping-pong during a transfer down; milliseconds."""
    return await _busy(task, Transfer().down)


async def busy_up(task: Task) -> Figures:
    """Ping-pong during a transfer up; milliseconds."""
    return await _busy(task, Transfer().up)


async def page(task: Task) -> Figures:
    """A page of many objects from several hosts, `count` times, each on new streams."""
    times = [await load_page(task.way) for _ in range(task.count)]
    return {"ms": statistics.median(times) * 1000}


async def cut(task: Task) -> Figures:
    """A transfer down and a ping-pong for `seconds`: when bytes came, for who cuts meanwhile."""
    transfer = Transfer()
    pings = Pings(await task.way.open(PORTS[0], first=b"e"))
    await _beside([transfer.down], task.way, pings.run(time.monotonic() + task.seconds))
    return {"arrivals": _thinned(transfer.arrivals), "pings": pings.sent}


def _thinned(arrivals: list[float]) -> list[float]:
    """At most one in two milliseconds."""
    kept: list[float] = []
    for arrival in arrivals:
        if not kept or arrival - kept[-1] > 0.002:
            kept.append(arrival)
    return kept


KINDS: dict[str, Callable[[Task], Coroutine[Any, Any, Figures]]] = {
    "bulk-down": bulk_down,
    "bulk-up": bulk_up,
    "first-byte": first_byte,
    "fair": fair,
    "busy-down": busy_down,
    "busy-up": busy_up,
    "page": page,
    "cut": cut,
}


def main(arguments: list[str]) -> int:
    """Run one kind of traffic."""
    parser = argparse.ArgumentParser(prog="python -m bench.wan.traffic")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--entry", required=True)
    parser.add_argument("--address", default="")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--warmup", type=float, default=1.0)
    parser.add_argument("--count", type=int, default=1)
    found = parser.parse_args(arguments)
    way = parse_way(found.entry, found.address, SERVER_ADDRESS)
    task = Task(way, found.seconds, found.warmup, found.count)
    code = 0
    try:
        print(json.dumps(uvloop.run(KINDS[found.kind](task))))
    except* (OSError, EOFError) as errors:
        code = BROKEN
        print(f"{found.kind}: {errors.exceptions[0]!r}", file=sys.stderr)
    except* WrongBytesError as errors:
        code = 1
        print(f"{found.kind}: {errors.exceptions[0]!r}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
