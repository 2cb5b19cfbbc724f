"""No stream notices that a carrier is cut, a network goes away or a server reloads."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.chaos.chaos import RESUME_SECONDS, chaos, scene
from tests.matrix.stage import LIMITS
from underpass.address import ListenAddress
from underpass.server_options import ServerOptions
from underpass.testing.middlebox import Behaviour, Connect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

# Twice what is asked of a quiet machine, as this one runs other tests beside.
WITHIN_SECONDS = 2.0


@pytest.mark.parametrize(
    ("carrier", "seconds"),
    [("auto", 10.0), ("websocket", 5.0), ("stream", 5.0), ("poll", 5.0), ("get", 5.0)],
)
async def test_carriers_are_cut_every_two_seconds(
    carrier: str, seconds: float, tmp_path: Path
) -> None:
    """`make chaos SECONDS=600` is the long one."""
    tally = await chaos(tmp_path, carrier, seconds)
    assert tally.cuts >= seconds / 4
    assert tally.checked > 0
    assert tally.percentile(0.5) <= WITHIN_SECONDS


async def test_the_network_is_gone_for_ten_seconds(tmp_path: Path) -> None:
    async with scene(tmp_path, "auto") as it:
        it.box.behaviour = Behaviour(unavailable_chance=1, connect=Connect.REFUSED)
        it.box.cut_all()
        await asyncio.sleep(10)
        it.box.behaviour = Behaviour()
        assert await it.resume() < RESUME_SECONDS


async def test_streams_live_on_while_the_server_reloads(tmp_path: Path) -> None:
    async with scene(tmp_path, "auto", streams=4) as it:
        options = ServerOptions(
            listen=(ListenAddress("127.0.0.1", 0),), state=tmp_path / "plain", limits=LIMITS
        )
        for _ in range(5):
            it.stage.plain.reload(options)
            assert await it.resume() < WITHIN_SECONDS
