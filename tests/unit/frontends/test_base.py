"""What a visit's access line holds, however it ends."""

from __future__ import annotations

import asyncio

from tests.unit.frontends.visiting import Watch
from underpass.frontends.base import Visit, relay_visit
from underpass.observe import Counter
from underpass.testing.memory import stream_pair


async def test_a_visit_that_is_cut_off_keeps_its_counts() -> None:
    watch = Watch()
    client, left = stream_pair()
    right, destination = stream_pair()
    visit = Visit("SOCKS", "127.0.0.1", address="a.test:1")
    async with asyncio.TaskGroup() as tasks:
        relaying = tasks.create_task(relay_visit(visit, left, right, watch.observer))
        await client.send(b"abc")
        assert await destination.receive() == b"abc"
        assert watch.counters.value(Counter.TUNNELS_OPEN) == 1
        relaying.cancel()
    record = visit.record()
    assert (record.sent, record.received, record.method) == (3, 0, "SOCKS")
    assert watch.counters.value(Counter.TUNNELS_OPEN) == 0


async def test_a_reset_is_the_reason() -> None:
    client, left = stream_pair()
    right, destination = stream_pair()
    visit = Visit("SOCKS", "127.0.0.1")
    destination.abort()
    await relay_visit(visit, left, right, Watch().observer)
    assert visit.record().reason == "reset by destination"
    assert client.is_lost
