"""`make faults`: SEEDS schedules of faults for each carrier, every byte checked.

A seed decides everything that a box does to one small session: resets, truncated responses, 503s,
repeated and reordered POSTs, delays, one request at a time, and when everything is cut. What a
carrier can't live with, such as altered bodies, is in the matrix instead.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import results
from tests.matrix.exercise import Exercise, WrongBytesError
from tests.matrix.stage import Entrance, Stage, client, stage
from underpass.address import Address
from underpass.client_options import CARRIERS
from underpass.errors import UnderpassError
from underpass.testing.middlebox import Behaviour, Hold, Middlebox

# A schedule that takes longer has stalled. The worst of them take a tenth of it.
SECONDS = 60.0
# So many schedules are under way at once.
WIDTH = 8


def schedule(seed: int, carrier: str) -> Behaviour:
    """What a box does under this seed; a session can live through each of these."""
    chance = random.Random(seed)

    def maybe(part: float, value: float) -> float:
        return value if chance.random() < part else 0.0

    holds = (Hold.NO, Hold.NO, Hold.WHOLE) if carrier in ("poll", "get") else (Hold.NO,)
    return Behaviour(
        reset_chance=maybe(0.6, chance.uniform(0, 0.15)),
        truncate_chance=maybe(0.5, chance.uniform(0, 0.08)),
        unavailable_chance=maybe(0.4, chance.uniform(0, 0.25)),
        repeat_posts=int(maybe(0.3, chance.randrange(1, 3))),
        replay_after=maybe(0.3, chance.uniform(0.05, 1)),
        reorder_posts=chance.random() < 0.4,
        cache_gets=chance.random() < 0.2,
        lower_names=chance.random() < 0.2,
        responses=chance.choice(holds),
        delay=maybe(0.3, chance.uniform(0, 0.03)),
        life_limit=maybe(0.2, chance.uniform(1, 4)),
    )


@dataclass
class Tally:
    """How the schedules of one carrier ended; `failed` are seeds and what they raised."""

    carrier: str
    seeds: int = 0
    bytes: int = 0
    failed: dict[int, str] = field(default_factory=dict)

    def line(self) -> str:
        """One line for people."""
        return (
            f"{self.carrier}: {self.seeds} schedules, {self.bytes / 1e6:.1f} MB, "
            f"{len(self.failed)} failed"
        )


async def run_seed(there: Stage, carrier: str, seed: int) -> int:
    """Run one schedule; how many bytes were checked. Raises what went wrong."""
    chance = random.Random(seed + 1)
    size = chance.choice((1, 1000, 30_000, 100_000))
    exercise = Exercise(there.port, there.refused, size=size, streams=chance.randrange(1, 4))
    where = Address.parse(str(there.plain.addresses[0]))
    async with Middlebox(schedule(seed, carrier), where, seed) as box:
        entrance = Entrance(there.invites[False], carrier=carrier, url=f"http://{box.address}")
        async with client(entrance) as one, asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
            cutting = tasks.create_task(_cut(box, chance))
            try:
                await exercise.run(one.keeper.open)
            finally:
                cutting.cancel()
    return exercise.streams * size * 3


async def _cut(box: Middlebox, chance: random.Random) -> None:
    for _ in range(chance.randrange(3)):
        await asyncio.sleep(chance.uniform(0.02, 1))
        box.cut_all()


async def run_seeds(carrier: str, seeds: Sequence[int], folder: Path) -> Tally:
    """Run these schedules, several at once."""
    tally = Tally(carrier)
    width = asyncio.Semaphore(WIDTH)

    async def run(seed: int) -> None:
        async with width:
            tally.seeds += 1
            try:
                moved = await run_seed(there, carrier, seed)
                tally.bytes += moved
            except (UnderpassError, WrongBytesError, TimeoutError, ExceptionGroup) as error:
                tally.failed[seed] = repr(error)
                print(f"FAILED {error!r}; replay it: {replay(carrier, seed)}", flush=True)

    async with stage(folder) as there, asyncio.TaskGroup() as tasks:
        for seed in seeds:
            tasks.create_task(run(seed))
    return tally


def replay(carrier: str, seed: int) -> str:
    """The command that runs one schedule again."""
    return f".venv/bin/python -m tests.chaos.faults --carriers {carrier} --first {seed} --seeds 1"


def main() -> int:
    """Run; 1 where any schedule failed."""
    parser = argparse.ArgumentParser(description="schedules of faults for each carrier")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--carriers", default=",".join(CARRIERS))
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    tallies = []
    started, aborted = results.now(), results.aborted_on_memory()
    for carrier in options.carriers.split(","):
        with tempfile.TemporaryDirectory() as folder:
            tallies.append(asyncio.run(run_seeds(carrier, seeds, Path(folder))))
        print(tallies[-1].line(), flush=True)
    aborted = results.aborted_on_memory() - aborted
    if aborted:
        print(f"the kernel reset {aborted} streams for want of memory: perhaps one of these")
    found = {
        "first": options.first,
        "aborted_on_memory": aborted,
        "carriers": [
            {"carrier": one.carrier, "seeds": one.seeds, "bytes": one.bytes, "failed": one.failed}
            for one in tallies
        ],
    }
    if options.seeds > 1:
        results.write("faults", started, found)
    return int(any(one.failed for one in tallies))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
