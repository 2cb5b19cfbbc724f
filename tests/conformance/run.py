"""`make conformance`: BYTES each way at once over each carrier, hashed at either end."""

from __future__ import annotations

import argparse
import asyncio
import time

from tests.chaos import results
from tests.conformance import kinds
from tests.conformance.kinds import Make
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


def main() -> None:
    """Run, print a line for each carrier, and write bench/results/conformance.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=1_000_000_000, help="each way (1,000,000,000)")
    parser.add_argument("--carriers", default=",".join(CARRIERS))
    options = parser.parse_args()
    started = results.now()
    found = []
    for carrier in options.carriers.split(","):
        seconds = asyncio.run(transfer(getattr(kinds, carrier), options.bytes))
        rate = options.bytes / seconds / 1e6
        print(f"{carrier}: right, {rate:.1f} MB/s each way at once", flush=True)
        figures = {"carrier": carrier, "bytes_each_way": options.bytes, "right": True}
        found.append(figures | {"seconds": round(seconds, 1), "mb_per_s_each_way": round(rate, 1)})
    results.write("conformance", started, {"transfers": found})


if __name__ == "__main__":
    main()
