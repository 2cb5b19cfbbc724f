"""`make outages`: what may happen to a client and its network for SECONDS, each in turn.

Four clients in processes of their own, one for each carrier, come to a server through one relay.
What happens, happens to all of them at once: under streams whose every byte is checked.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import results
from tests.chaos.inside import Inside, moves
from tests.chaos.steady import Steady
from tests.matrix.destination import destination
from tests.real.cutting_relay import CuttingRelay, cutting_relay
from tests.real.processes import end
from tests.real.tunnel import Tunnel, tunnel_in
from underpass.client_options import CARRIERS

# A client that has tried for a minute is in the midst of a pause of 30 s at most, and one that was
# told nothing asks after 30 s and waits for 30 s.
PATIENCE_SECONDS = 120.0
STREAMS = 2
ELSEWHERE = "127.0.0.2"


@dataclass
class Scene:
    """The server, the relay to it, and the clients by their carriers."""

    tunnel: Tunnel
    relay: CuttingRelay
    insides: Mapping[str, Inside]

    def signal(self, number: signal.Signals) -> None:
        """Send every client a signal."""
        for inside in self.insides.values():
            inside.signal(number)


@contextlib.asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    """For as long as the block."""
    async with destination() as port:
        with tunnel_in(folder) as tunnel:
            async with cutting_relay(tunnel.port) as relay:
                # The commands ask nothing of the relay yet, which this loop runs.
                for carrier in CARRIERS:
                    tunnel.join(carrier, relay.port)
                insides = {one: await _inside(tunnel, port, one) for one in CARRIERS}
                yield Scene(tunnel, relay, insides)
                for inside in insides.values():
                    # So that the server need not wait for those whose last word it did not hear.
                    await asyncio.to_thread(end, inside.client.process)


async def _inside(tunnel: Tunnel, port: int, carrier: str) -> Inside:
    flags = ("--carrier", carrier)
    return await asyncio.to_thread(Inside, tunnel, port, *flags, profile=carrier)


async def suspended(it: Scene, seconds: float) -> None:
    """The clients are suspended, and go on."""
    it.signal(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    it.signal(signal.SIGCONT)


async def gone(it: Scene, seconds: float) -> None:
    """The network is gone, and says so; and comes back."""
    it.relay.is_closed = True
    await it.relay.cut()
    await asyncio.sleep(seconds)
    it.relay.is_closed = False


async def dark(it: Scene, seconds: float) -> None:
    """The network swallows everything; what was sent meanwhile is lost when it comes back."""
    it.relay.is_dark = True
    it.relay.strand()
    await asyncio.sleep(seconds)
    it.relay.is_dark = False


async def moved(it: Scene, _: float) -> None:
    """The clients' address is another, and what they had open there goes nowhere."""
    it.relay.source = ELSEWHERE
    it.relay.strand()


async def moved_and_cut(it: Scene, _: float) -> None:
    """The clients' address is another, and what they had open is reset."""
    it.relay.source = ELSEWHERE
    await it.relay.cut()


async def reloaded(it: Scene, _: float) -> None:
    """The server reads its options anew."""
    for _ in range(3):
        it.tunnel.server.process.send_signal(signal.SIGHUP)
        await asyncio.sleep(0.2)


Outage = Callable[[Scene, float], Awaitable[None]]
OUTAGES: tuple[Outage, ...] = (suspended, gone, dark, moved, moved_and_cut, reloaded)


@dataclass
class Resumed:
    """In how many seconds after an outage the streams of a carrier went on; bytes checked."""

    seconds: float
    checked: int


async def run(
    it: Scene, outage: Outage, seconds: float, patience: float = PATIENCE_SECONDS
) -> dict[str, Resumed]:
    """Let it happen under streams of every client. Raises what a stream that breaks raises."""
    now = asyncio.get_running_loop().time
    ended: dict[str, float] = {}
    steadies: dict[str, list[Steady]] = {}
    over = asyncio.Event()

    async def watch(carrier: str, inside: Inside) -> None:
        async with inside.steady(STREAMS, patience) as steadies[carrier]:
            await over.wait()
            started = now()
            await moves(steadies[carrier], patience)
            ended[carrier] = now() - started

    async with asyncio.TaskGroup() as tasks:
        for carrier, inside in it.insides.items():
            tasks.create_task(watch(carrier, inside))
        while len(steadies) < len(it.insides):
            await asyncio.sleep(0.01)
        await outage(it, seconds)
        over.set()
    return {
        carrier: Resumed(ended[carrier], sum(steady.checked for steady in steadies[carrier]))
        for carrier in it.insides
    }


async def campaign(folder: Path, seconds: float, only: str) -> list[dict[str, object]]:
    """All outages, one after the other, or the one of this name."""
    found: list[dict[str, object]] = []
    for outage in OUTAGES:
        if only not in ("", outage.__name__):
            continue
        there = folder / outage.__name__
        there.mkdir()
        async with scene(there) as it:
            resumed = await run(it, outage, seconds)
        for carrier, one in resumed.items():
            print(f"{outage.__name__}, {carrier}: on again after {one.seconds:.1f} s", flush=True)
            found.append(
                {
                    "outage": outage.__name__,
                    "carrier": carrier,
                    "resumed_after_s": round(one.seconds, 1),
                    "bytes_checked": one.checked,
                }
            )
    return found


def main() -> None:
    """Run, print a line for each, and write bench/results/outages.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long each lasts (60)")
    parser.add_argument("--only", default="", help="the one that is to happen")
    options = parser.parse_args()
    started = results.now()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(campaign(Path(folder), options.seconds, options.only))
    results.write("outages", started, {"lasting": options.seconds, "broken": 0, "outages": found})


if __name__ == "__main__":
    main()
