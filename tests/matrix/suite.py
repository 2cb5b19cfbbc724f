"""All cells of the matrix at once, and the page that tells of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.matrix.cell import Outcome, run_cell
from tests.matrix.exercise import WrongBytesError
from tests.matrix.modes import KINDS, MODES, PASSWORD, USER, Mode
from tests.matrix.stage import stage
from underpass.errors import UnderpassError

# So many cells are done at once: most of what they take is waiting.
WIDTH = 24
# What a held-back answer looks like where a machine is too busy to answer at once.
BUSY = ("one request at a time", "no POST is answered", "nothing comes back")

Cell = tuple[str, str]
"""The names of a mode and of a kind of carrier."""

CELLS: Mapping[Cell, Mode] = {(mode.name, kind): mode for mode in MODES for kind in KINDS}

PAGE = Path(__file__).parents[2] / "docs" / "middleboxes.md"


async def run_cells(cells: Sequence[Cell], folder: Path) -> dict[Cell, Outcome | Exception]:
    """Run these; how each ended. What it raised stands for its outcome."""
    outcomes: dict[Cell, Outcome | Exception] = {}
    width = asyncio.Semaphore(WIDTH)

    async def run(cell: Cell) -> None:
        async with width:
            try:
                outcomes[cell] = await run_cell(scene, CELLS[cell], cell[1], folder)
            except (UnderpassError, WrongBytesError, TimeoutError, ExceptionGroup) as error:
                outcomes[cell] = error

    with accounts(folder):
        async with stage(folder) as scene, asyncio.TaskGroup() as tasks:
            for cell in cells:
                tasks.create_task(run(cell))
    return outcomes


@contextlib.contextmanager
def accounts(folder: Path) -> Iterator[None]:
    """Whom the boxes let in by NTLM."""
    path = folder / "accounts"
    path.write_text(":".join((*USER.split("\\"), PASSWORD)) + "\n")
    before = os.environ.get("NTLM_USER_FILE")
    os.environ["NTLM_USER_FILE"] = str(path)
    try:
        yield
    finally:
        if before is None:
            del os.environ["NTLM_USER_FILE"]
        else:
            os.environ["NTLM_USER_FILE"] = before


def verdict(cell: Cell, outcome: Outcome | Exception) -> str:
    """What is wrong with an outcome; empty for what was expected."""
    if isinstance(outcome, Exception):
        return repr(outcome)
    fails = CELLS[cell].fails
    if cell[1] not in fails:
        return outcome.error
    if outcome.works:
        return f"it works, over {outcome.carrier}"
    expected = fails[cell[1]]
    is_told = any(words in outcome.error for words in (expected, *BUSY))
    return "" if is_told else f"the error does not tell {expected!r}"
