"""One reader that stalls stops nobody else, and costs little memory: real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.stalled import MOST_BYTES, measure
from underpass.client_options import CARRIERS

# Nine tenths on a machine with nothing else to do, as `make conformance` asks.
LEAST_SHARE = 0.75


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_reader_that_stalls_costs_little(carrier: str, tmp_path: Path) -> None:
    """`make conformance` has the other direction too."""
    cost = await measure(tmp_path, carrier, is_up=False)
    assert cost.memory <= MOST_BYTES
    assert cost.share >= LEAST_SHARE
