"""Every box, every carrier: the bytes are right, or there is a clear error and another works."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.matrix.cell import Outcome
from tests.matrix.modes import KINDS, MODES
from tests.matrix.page import page
from tests.matrix.suite import CELLS, PAGE, Cell, run_cells, verdict

# All cells together take about a minute on a machine with two processors.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def name_of(cell: Cell) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", f"{cell[0]}-{cell[1]}")


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[Cell, Outcome | Exception]:
    """How all cells ended that this run asks for; they are done at once."""
    asked: list[Cell] = [
        item.callspec.params["cell"]  # type: ignore[misc]  # pytest types them as objects
        for item in request.session.items
        if isinstance(item, pytest.Function) and "outcomes" in item.fixturenames
    ]
    return asyncio.run(run_cells(asked, tmp_path_factory.mktemp("matrix")))


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_cell(cell: Cell, outcomes: dict[Cell, Outcome | Exception]) -> None:
    assert verdict(cell, outcomes[cell]) == ""


def test_there_are_enough_cells() -> None:
    assert len(MODES) >= 20
    assert len(CELLS) == len(MODES) * len(KINDS)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_auto_works_wherever_any_carrier_does(mode: object) -> None:
    fails = mode.fails  # type: ignore[attr-defined]  # a mode; pytest's ids know no better
    assert ("auto" in fails) == (set(KINDS) - {"auto"} <= set(fails))


def test_the_page_tells_of_every_cell() -> None:
    """`make matrix` writes it anew."""
    text = PAGE.read_text(encoding="utf-8")
    assert text.split("\n## ")[1] == page().split("\n## ")[1]
