"""What a visit's access line holds, however it ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from tests.unit.frontends.visiting import Watch
from underpass.frontends.base import Visit, VisitRelay
from underpass.net.gate import Gate, GateLimits, Ticket
from underpass.net.transport import TransportStream
from underpass.observe import Counter
from underpass.testing.memory import stream_pair


def ticket(gate: Gate) -> Ticket:
    admitted = gate.admit("127.0.0.1")
    assert admitted is not None
    return admitted


async def test_a_visit_that_is_cut_off_keeps_its_counts() -> None:
    watch = Watch()
    client, left = stream_pair()
    right, destination = stream_pair()
    visit = Visit("SOCKS", "127.0.0.1", address="a.test:1")
    async with asyncio.TaskGroup() as tasks:
        relaying = tasks.create_task(
            VisitRelay(watch.observer).relay(visit, ticket(Gate(GateLimits())), left, right)
        )
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
    await VisitRelay(Watch().observer).relay(visit, ticket(Gate(GateLimits())), left, right)
    assert visit.record().reason == "reset by destination"
    assert client.is_lost


@pytest.fixture
async def accepted() -> AsyncIterator[tuple[TransportStream, socket.socket]]:
    """A client's stream as a listener accepts it, and the client's own end."""
    ours, client = socket.socketpair()
    client.setblocking(False)
    _, stream = await asyncio.get_running_loop().create_unix_connection(TransportStream, sock=ours)
    yield stream, client
    stream.abort()
    client.close()


async def test_a_clients_visit_stands_without_a_task_and_holds_its_place(
    accepted: tuple[TransportStream, socket.socket],
) -> None:
    left, client = accepted
    right, destination = stream_pair()
    gate, watch = Gate(GateLimits()), Watch()
    place, relaying = ticket(gate), VisitRelay(watch.observer)
    visit = Visit("SOCKS", "127.0.0.1", address="a.test:1")
    await relaying.relay(visit, place, left, right, early=2)
    relaying.left(visit, place)
    assert (len(gate), watch.records, watch.counters.value(Counter.TUNNELS_OPEN)) == (1, [], 1)
    client.send(b"abc")
    assert await destination.receive() == b"abc"
    await destination.send(b"defg")
    await destination.send_eof()
    client.shutdown(socket.SHUT_WR)
    assert await destination.receive() == b""
    async with asyncio.timeout(5):
        await gate.wait_empty()
    [record] = watch.records
    assert (record.sent, record.received, record.reason) == (5, 4, "ok")
    assert watch.counters.value(Counter.TUNNELS_OPEN) == 0


async def test_who_loses_the_place_of_a_standing_visit_ends_it(
    accepted: tuple[TransportStream, socket.socket],
) -> None:
    right, destination = stream_pair()
    gate, watch = Gate(GateLimits()), Watch()
    place, relaying = ticket(gate), VisitRelay(watch.observer)
    visit = Visit("FORWARD", "127.0.0.1")
    await relaying.relay(visit, place, accepted[0], right)
    gate.evict_all()
    assert len(gate) == 0
    assert destination.is_lost
    assert [record.reason for record in watch.records] == ["ended by this proxy"]
