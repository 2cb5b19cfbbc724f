"""Two hundred seeds, those that once found something, and sessions broken on purpose."""

from __future__ import annotations

import pytest

from tests.simulation.regressions import REGRESSIONS
from tests.simulation.simulation import simulate

SEEDS = 200
BLOCK = 10
REPLAY = ".venv/bin/python -m tests.simulation.run"


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_sessions_keep_their_promises(first: int) -> None:
    for seed in range(first, first + BLOCK):
        assert simulate(seed).failure == "", f"{REPLAY} --seed {seed} --trace"


@pytest.mark.slow
@pytest.mark.parametrize("seed", REGRESSIONS, ids=str)
def test_what_was_found_is_not_found_again(seed: int) -> None:
    assert simulate(seed).failure == "", REGRESSIONS[seed]
