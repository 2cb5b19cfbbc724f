"""A tunnel at each end: streams through it, carriers under it, and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.tunnel.joined import (
    BOUND,
    TARGET,
    MemoryCarrier,
    make_ends,
    steps,
    tunnel_streams,
    tunnels,
)
from underpass.carriers.base import CarrierError, Feed
from underpass.errors import DialError, Failure, StreamReset
from underpass.protocol.frames import CloseCode
from underpass.protocol.session_events import CarrierStands, SessionClosed, SessionDetached
from underpass.tunnel.driver import CarrierEvent
from underpass.tunnel.pulse import Patience, Pulse
from underpass.tunnel.tunnel import Tunnel

SECONDS = 5.0


async def test_streams_go_through_it_both_ways() -> None:
    async with asyncio.timeout(SECONDS), tunnels() as ends:
        for here, there in (ends, ends[::-1]):
            async with asyncio.TaskGroup() as tasks:
                opening = tasks.create_task(here.open(TARGET))
                offer = await there.accept()
                assert offer.address == TARGET
                stream, other = offer.accept(BOUND), await opening
            assert other.peer == BOUND
            await stream.send(b"hello")
            assert await other.receive() == b"hello"
        assert [end.stream_count for end in ends] == [2, 2]


async def test_a_refusal_goes_through_it() -> None:
    async def refused(tunnel: Tunnel) -> DialError:
        with pytest.raises(DialError) as caught:
            await tunnel.open(TARGET)
        return caught.value

    async with asyncio.timeout(SECONDS), tunnels() as (client, server):
        async with asyncio.TaskGroup() as tasks:
            opening = tasks.create_task(refused(client))
            (await server.accept()).refuse(DialError(Failure.CONNECTION_REFUSED, "no"))
        assert opening.result().failure is Failure.CONNECTION_REFUSED
        assert [client.stream_count, server.stream_count] == [0, 0]


async def test_it_closes_once_its_streams_have_ended() -> None:
    async with asyncio.timeout(SECONDS), tunnels() as (client, server):
        async with asyncio.TaskGroup() as tasks:
            opening = tasks.create_task(client.open(TARGET))
            there = (await server.accept()).accept()
            here = await opening
            client.close()
            await steps()
            assert client.stream_count == 1
            await here.send(b"last words")
            await here.close()
            assert await there.receive() == b"last words"
            await there.close()
        assert (await server.closed()).code == CloseCode.DONE
        assert (await client.closed()).code == CloseCode.DONE
        assert client.is_closed
        assert "CLOSED" in repr(client).upper()


async def test_an_abort_is_told_to_the_other_end_and_resets_streams() -> None:
    async with asyncio.timeout(SECONDS), tunnels() as (client, server):
        async with asyncio.TaskGroup() as tasks:
            opening = tasks.create_task(client.open(TARGET))
            there = (await server.accept()).accept()
            here = await opening
        server.abort(CloseCode.USER_REMOVED, "gone")
        assert await client.closed() == SessionClosed(CloseCode.USER_REMOVED, "gone")
        for stream in (here, there):
            with pytest.raises(StreamReset, match="session was lost"):
                await stream.receive()


async def test_a_wait_for_its_end_that_is_cancelled_does_not_end_it() -> None:
    tunnel = Tunnel(make_ends()[0])
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(tunnel.closed())
        await steps()
        waiting.cancel()
    assert not tunnel.is_closed
    tunnel.abort(CloseCode.DONE, "over")
    assert await tunnel.closed() == SessionClosed(CloseCode.DONE, "over")
    # A second one changes nothing.
    tunnel.abort(CloseCode.SHUTDOWN, "again")
    assert await tunnel.closed() == SessionClosed(CloseCode.DONE, "over")


async def failing(feed: Feed) -> None:
    raise CarrierError("cut")


async def returning(feed: Feed) -> None:
    return


@pytest.mark.parametrize(("run", "why"), [(failing, "cut"), (returning, "the carrier has ended")])
async def test_a_carrier_that_ends_says_why(run: object, why: str) -> None:
    told: list[CarrierEvent] = []
    tunnel = Tunnel(make_ends()[0], told.append)
    assert callable(run)
    assert str(await tunnel.carry(0, run)) == why
    assert told == [SessionDetached()]
    tunnel.abort(CloseCode.DONE, "over")
    assert told[1:] == [SessionClosed(CloseCode.DONE, "over")]


async def test_a_carrier_that_is_cancelled_is_let_go() -> None:
    told: list[CarrierEvent] = []
    client, server = make_ends()
    near, far = Tunnel(client, told.append), Tunnel(server)
    carrier = MemoryCarrier()
    pulse = Pulse(near, 0, Patience(), is_prompt=True)
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
        carrying = tasks.create_task(near.carry(0, carrier.client, pulse))
        other = tasks.create_task(far.carry(0, carrier.server))
        opening = tasks.create_task(near.open(TARGET))
        (await far.accept()).accept()
        await pulse.came
        await opening
        assert told == [CarrierStands(0)]
        for task in (carrying, other):
            task.cancel()
    assert told == [CarrierStands(0), SessionDetached()]
    for tunnel in (near, far):
        tunnel.abort(CloseCode.DONE, "over")


async def test_after_a_call_to_the_session_itself_it_catches_up() -> None:
    tunnel = Tunnel(make_ends()[0])
    tunnel.session.abort(CloseCode.DONE, "over")
    assert not tunnel.is_closed
    tunnel.settle()
    assert tunnel.is_closed


async def test_the_end_of_the_session_ends_its_carriers() -> None:
    async with asyncio.timeout(SECONDS):
        async with tunnel_streams() as (here, _):
            pass
        with pytest.raises(StreamReset):
            await here.receive()
