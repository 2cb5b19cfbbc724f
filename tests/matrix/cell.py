"""One cell of the matrix: one kind of carrier through one box."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from tests.matrix.exercise import Exercise
from tests.matrix.modes import Mode
from tests.matrix.stage import Client, Entrance, Stage, client, login_for
from underpass.address import Address
from underpass.errors import ConfigurationError
from underpass.testing.middlebox import Login, Middlebox, Record

# What a clear error may take to come.
ERROR_SECONDS = 15.0
# What the exercise may take where it works: on a busy machine all cells are done at once.
WORK_SECONDS = 60.0


@dataclass(frozen=True)
class Outcome:
    """How it went. `error` is empty where it worked; `carrier` is what it worked over last."""

    error: str
    carrier: str
    seconds: float
    record: Record

    @property
    def works(self) -> bool:
        return not self.error


async def run_cell(stage: Stage, mode: Mode, kind: str, folder: Path) -> Outcome:
    """Run one cell. Raises `WrongBytesError`; `TimeoutError` for neither bytes nor an error."""
    now = asyncio.get_running_loop().time
    started = now()
    address = stage.server(is_tls=mode.is_tls).addresses[0]
    inside = Address.parse(str(address)) if mode.is_inline else None
    async with Middlebox(mode.behaviour, inside, seed=len(mode.name)) as box:
        carrier, error = "", ""
        try:
            async with client(entrance_for(stage, mode, kind, box, folder)) as one:
                error = await _attempt(stage, mode, kind, one)
                carrier = one.ups[-1] if one.ups else ""
        except ConfigurationError as refused:
            error = str(refused)
        return Outcome(error, carrier, now() - started, box.record)


def entrance_for(stage: Stage, mode: Mode, kind: str, box: Middlebox, folder: Path) -> Entrance:
    """How the client of a cell comes in."""
    behaviour = mode.behaviour
    authorities = None
    if behaviour.opens_tls:
        authorities = folder / f"{box.address.port}.pem"
        authorities.write_bytes(box.authority)
    has_login = behaviour.login is not Login.NONE
    return Entrance(
        stage.invites[mode.is_tls],
        carrier=kind,
        methods=mode.allowed,
        url=f"{'https' if mode.is_tls else 'http'}://{box.address}" if mode.is_inline else "",
        via="" if mode.is_inline else box.url,
        login=login_for(behaviour.user, behaviour.password) if has_login else "",
        authorities=authorities,
    )


async def _attempt(stage: Stage, mode: Mode, kind: str, one: Client) -> str:
    """Do the exercise; the error, or nothing."""
    exercise = Exercise(stage.port, stage.refused, size=mode.size, idle=mode.idle)
    if kind not in mode.fails:
        try:
            async with asyncio.timeout(WORK_SECONDS):
                await exercise.run(one.keeper.open)
        except TimeoutError:
            raise TimeoutError(f"over {one.ups}, after {one.reasons}") from None
        return ""
    async with asyncio.timeout(ERROR_SECONDS), asyncio.TaskGroup() as tasks:
        working = tasks.create_task(exercise.run(one.keeper.open))
        failing = tasks.create_task(one.fell.wait())
        await asyncio.wait((working, failing), return_when=asyncio.FIRST_COMPLETED)
        failing.cancel()
        if not working.done():
            working.cancel()
            return "; ".join(one.reasons)
    return ""
