"""`make conformance`: BYTES each way at once over each carrier, hashed; and stalled streams."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import itertools
import tempfile
import time
from pathlib import Path

from tests.chaos import results
from tests.conformance import kinds
from tests.conformance.kinds import Make
from tests.conformance.stalled import LEAST_SHARE, MOST_BYTES, measure
from tests.conformance.transfer import hash_from, pattern_to
from tests.unit.carriers.world import world
from underpass.address import Address
from underpass.client_options import CARRIERS

WHERE = Address("service.example", 7)
# A sixth of what the slowest does on a slow machine: a transfer below it has stalled.
LEAST_RATE = 100_000


async def transfer(make: Make, size: int) -> float:
    """Send `size` bytes each way at once; in how many seconds. Raises for any that is not right."""
    async with asyncio.timeout(60 + size / LEAST_RATE), world() as one:
        await one.attach(make(one))
        here, there = await one.open(WHERE)
        started = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            up = tasks.create_task(pattern_to(here, size))
            down = tasks.create_task(pattern_to(there, size + 1))
            came_up = tasks.create_task(hash_from(there))
            came_down = tasks.create_task(hash_from(here))
        if came_up.result() != up.result() or came_down.result() != down.result():
            raise AssertionError(f"{make.__name__}: what came is not what was sent")
        return time.monotonic() - started


def transferred(carrier: str, size: int) -> dict[str, object]:
    """A transfer over this carrier. Raises where what came is not what was sent."""
    seconds = asyncio.run(transfer(getattr(kinds, carrier), size))
    rate = round(size / seconds / 1e6, 1)
    print(f"{carrier}: right, {rate} MB/s each way at once", flush=True)
    figures = {"seconds": round(seconds, 1), "mb_per_s_each_way": rate}
    return {"carrier": carrier, "bytes_each_way": size, "right": True} | figures


def stalled(carrier: str, *, is_up: bool) -> dict[str, object]:
    """What a stalled stream costs over this carrier. Raises where that is too much."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        cost = asyncio.run(measure(Path(folder), carrier, is_up=is_up))
    if cost.memory > MOST_BYTES or cost.share < LEAST_SHARE:
        raise AssertionError(f"{carrier}: {cost}")
    way = "up" if is_up else "down"
    kept, held = round(cost.share, 2), round(cost.memory / 1e6, 1)
    print(f"{carrier}: stalled {way}, others keep {kept:.0%}, {held} MB", flush=True)
    spells = len(cost.beside.moved)
    return {"carrier": carrier, "way": way, "share": kept, "memory_mb": held, "spells": spells}


def main() -> None:
    """Run, print a line for each carrier, and write bench/results/conformance.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=1_000_000_000, help="each way (1,000,000,000)")
    parser.add_argument("--carriers", default=",".join(CARRIERS))
    options = parser.parse_args()
    carriers = options.carriers.split(",")
    started = results.now()
    found: dict[str, list[dict[str, object]]] = {"transfers": [], "stalled": []}
    for carrier in carriers:
        found["transfers"].append(transferred(carrier, options.bytes))
        results.write("conformance", started, found)
    for carrier, is_up in itertools.product(carriers, (False, True)):
        found["stalled"].append(stalled(carrier, is_up=is_up))
        results.write("conformance", started, found)


if __name__ == "__main__":
    main()
