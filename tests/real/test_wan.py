"""A line between two namespaces takes its time, and the tunnel makes little of it over that."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

from bench.figures import US  # noqa: E402 - found beside `tests`, however pytest is called
from bench.programs.own import Underpass  # noqa: E402 - the same
from bench.wan.line import Line  # noqa: E402 - the same
from bench.wan.load import Load  # noqa: E402 - the same
from bench.wan.namespaces import network, unavailable  # noqa: E402 - the same
from bench.wan.stage import stage  # noqa: E402 - the same
from bench.wan.validate import Probe, probed  # noqa: E402 - the same

# Packets of a busy machine wait for a core, too; fewer than half of them so long.
SPARE_MS = 5


def cannot_be_tested(capsys: pytest.CaptureFixture[str]) -> bool:
    """Whether no network can be made; said at each run, not hidden as a skip."""
    reason = unavailable()
    if reason is not None:
        with capsys.disabled():
            print(f"\nthe WAN could not be tested: {reason}")
    return reason is not None


@pytest.mark.slow
def test_a_line_of_20_ms_takes_20_ms_there_and_back(capsys: pytest.CaptureFixture[str]) -> None:
    if cannot_be_tested(capsys):
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


@pytest.mark.slow
def test_a_stream_takes_one_round_trip_and_a_download_holds_up_nobody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    if cannot_be_tested(capsys):
        return
    line = Line(80, 0, 20)
    with stage(line, Underpass(US, "websocket")) as on:
        first = on.run(Load("first-byte", 0, 0, 3))
        busy = on.run(Load("busy-down", 2.0, 2.0))
    # Two round trips would be 160; the line's queue and buffers alone would make it 120 ms more.
    assert 80 <= first["greeted"] < 120
    assert 80 <= first["rash"] < 120
    assert busy["p50"] - busy["idle"] < 80
