"""How soon a fresh client brings its first byte through each box."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.matrix.cell import entrance_for
from tests.matrix.destination import ECHO
from tests.matrix.exercise import exactly
from tests.matrix.modes import MODES, Mode
from tests.matrix.stage import Stage, client, stage
from tests.matrix.suite import accounts
from underpass.address import Address
from underpass.testing.middlebox import Middlebox

# What a client that knows nothing of the network may take, and so many round trips of it.
LIMIT_SECONDS = 1.0
ROUND_TRIPS = 3

# What `auto` gets through at all.
PASSABLE = tuple(mode for mode in MODES if "auto" not in mode.fails)


@dataclass(frozen=True)
class FirstByte:
    """From the client's start to the first byte that came back, in seconds; over which carrier."""

    mode: Mode
    seconds: float
    carrier: str

    @property
    def beyond(self) -> float:
        """Seconds beyond the three round trips of the line."""
        return self.seconds - ROUND_TRIPS * 2 * self.mode.behaviour.delay


def line(found: Sequence[FirstByte]) -> str:
    """The slowest of them, for people."""
    worst = max(found, key=lambda one: one.beyond)
    return (
        f"A fresh client that is told nothing has its first byte back through each of the "
        f"{len(found)} boxes that anything passes within {max(0.0, worst.beyond):.2f} s and three "
        f"round trips; the slowest is “{worst.mode.name}”."
    )


async def first_bytes(folder: Path, modes: Sequence[Mode] = PASSABLE) -> list[FirstByte]:
    """Of a client of its own through each box, one after the other."""
    with accounts(folder):
        async with stage(folder) as there:
            return [await _first_byte(there, mode, folder) for mode in modes]


async def _first_byte(there: Stage, mode: Mode, folder: Path) -> FirstByte:
    now = asyncio.get_running_loop().time
    address = there.server(is_tls=mode.is_tls).addresses[0]
    inside = Address.parse(str(address)) if mode.is_inline else None
    async with Middlebox(mode.behaviour, inside, seed=len(mode.name)) as box:
        entrance = entrance_for(there, mode, "auto", box, folder)
        started = now()
        async with client(entrance) as one:
            stream = await one.keeper.open(Address("127.0.0.1", there.port))
            await stream.send(ECHO + b"!")
            assert await exactly(stream, 1) == b"!"
            return FirstByte(mode, now() - started, one.ups[-1])
