"""Holding everything back until whole costs little of a long line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.matrix.exercise import WrongBytesError
from tests.matrix.line import DELAY, measure, receive, share
from underpass.testing import stream_pair


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_poll_fills_a_long_line_through_a_box_that_holds_everything(tmp_path: Path) -> None:
    figures = await measure(tmp_path, 40_000_000)
    assert share(figures.up) >= 0.7
    assert share(figures.down) >= 0.7
    assert figures.round_trip <= 2.5 * 2 * DELAY


async def test_an_end_that_comes_too_early_is_waited_for_no_longer() -> None:
    here, there = stream_pair()
    await there.send(b"few")
    await there.send_eof()
    with pytest.raises(WrongBytesError, match="1 bytes too early"):
        await receive(here, 4)
