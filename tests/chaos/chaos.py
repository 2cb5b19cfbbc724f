"""Carriers cut again and again under streams that must not notice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.steady import Steady
from tests.matrix.destination import ECHO
from tests.matrix.exercise import exactly
from tests.matrix.stage import Client, Entrance, Stage, client, stage
from underpass.address import Address
from underpass.net.stream import Stream
from underpass.testing.middlebox import Behaviour, Middlebox

STREAMS = 16
CUT_SECONDS = 2.0
# A cut that nothing gets over within this is one too many.
RESUME_SECONDS = 20.0


@dataclass
class Tally:
    """What a run has shown; times in seconds, from a cut to the first byte back after it."""

    cuts: int = 0
    checked: int = 0
    resumed: list[float] = field(default_factory=list)

    def percentile(self, part: float) -> float:
        """Such as 0.95; 0 where nothing was cut."""
        times = sorted(self.resumed)
        return times[min(len(times) - 1, int(len(times) * part))] if times else 0.0

    def line(self, name: str) -> str:
        """One line for people."""
        return (
            f"{name}: {self.cuts} cuts under {STREAMS} streams, 0 broken, 0 bytes wrong of "
            f"{self.checked / 1e6:.0f} MB; on again after {self.percentile(0.5) * 1000:.0f} ms "
            f"(p50), {self.percentile(0.95) * 1000:.0f} ms (p95)"
        )


@dataclass
class Scene:
    """A client's tunnel through a box that can be told to cut, and streams through it."""

    stage: Stage
    box: Middlebox
    client: Client
    steadies: list[Steady]
    probe: Stream

    @property
    def address(self) -> Address:
        """Where the streams lead."""
        return Address("127.0.0.1", self.stage.port)

    async def resume(self) -> float:
        """How long something that is sent now takes to come back."""
        now = asyncio.get_running_loop().time
        started = now()
        async with asyncio.timeout(RESUME_SECONDS):
            await self.probe.send(b"there?")
            assert await exactly(self.probe, 6) == b"there?"
        return now() - started


@contextlib.asynccontextmanager
async def scene(folder: Path, carrier: str, streams: int = STREAMS) -> AsyncIterator[Scene]:
    """For as long as the block; at its end every stream ends, and every byte is accounted for."""
    async with stage(folder) as there:
        inside = there.plain.addresses[0]
        where = Address.parse(str(inside))
        async with Middlebox(Behaviour(), where) as box:
            entrance = Entrance(there.invites[False], carrier=carrier, url=f"http://{box.address}")
            async with client(entrance) as one, asyncio.TaskGroup() as tasks:
                address = Address("127.0.0.1", there.port)
                probe = await one.keeper.open(address)
                await probe.send(ECHO)
                steadies = [Steady(await one.keeper.open(address), seed) for seed in range(streams)]
                for steady in steadies:
                    tasks.create_task(steady.run())
                yield Scene(there, box, one, steadies, probe)
                for steady in steadies:
                    steady.end()


async def chaos(folder: Path, carrier: str, seconds: float) -> Tally:
    """Cut every stream of TCP every 2 s for so long. Raises what a stream that breaks raises."""
    tally = Tally()
    loop = asyncio.get_running_loop()
    async with scene(folder, carrier) as it:
        until = loop.time() + seconds
        while loop.time() < until:
            next_cut = loop.time() + CUT_SECONDS
            it.box.cut_all()
            tally.cuts += 1
            tally.resumed.append(await it.resume())
            await asyncio.sleep(max(0.0, next_cut - loop.time()))
    tally.checked = sum(steady.checked for steady in it.steadies)
    return tally
