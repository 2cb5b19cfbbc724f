"""A client that knows nothing of a network soon works in it, however bad that is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.matrix.first_byte import LIMIT_SECONDS, PASSABLE, first_bytes, line


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_the_first_byte_comes_within_a_second_and_three_round_trips(tmp_path: Path) -> None:
    found = await first_bytes(tmp_path)
    late = [one.mode for one in found if one.beyond > LIMIT_SECONDS]
    # A machine that was busy for a moment makes one late, and not the same again.
    again = await first_bytes(tmp_path, late) if late else []
    assert [one for one in again if one.beyond > LIMIT_SECONDS] == []
    assert len(found) == len(PASSABLE) >= 30
    assert "first byte back through each of the" in line(found)
