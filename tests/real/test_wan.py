"""A line of 20 ms between two namespaces takes 20 ms there and back."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

from bench.wan.line import Line  # noqa: E402 - found beside `tests`, however pytest is called
from bench.wan.namespaces import network, unavailable  # noqa: E402 - the same
from bench.wan.validate import Probe, probed  # noqa: E402 - the same

# Packets of a busy machine wait for a core, too; fewer than half of them so long.
SPARE_MS = 5


@pytest.mark.slow
def test_a_line_of_20_ms_takes_20_ms_there_and_back(capsys: pytest.CaptureFixture[str]) -> None:
    if reason := unavailable():
        # Said at each run, not hidden as a skip: this machine shows nothing of the emulator.
        with capsys.disabled():
            print(f"\nthe WAN could not be tested: {reason}")
        return
    way = Line(20, 0, 20).way()
    with network(way, way) as made:
        up = probed(made, Probe(50, 0.005), is_up=True)
        down = probed(made, Probe(50, 0.005), is_up=False)
        counters = made.counters()
    assert not up.lost()
    assert not down.lost()
    assert 20 <= up.median_delay() + down.median_delay() < 20 + SPARE_MS
    assert counters["up"]["out"] >= 50
