"""Two drivers and a carrier between them: what is asked at one end happens at the other."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.tunnel.joined import BOUND, PIECE, TARGET, Joined, steps
from tests.unit.tunnel.virtual_time import now, play
from underpass.address import Address
from underpass.carriers.base import CarrierError
from underpass.errors import DialError, Failure, StreamClosed, StreamError, StreamReset
from underpass.net.early import EarlyData
from underpass.net.stream import Sink
from underpass.protocol.frames import CloseCode, Kind, Payload
from underpass.protocol.session_events import (
    CarrierLost,
    CarrierStands,
    SessionClosed,
    SessionDetached,
)
from underpass.protocol.session_state import SessionState
from underpass.protocol.stream_table import StreamLimits
from underpass.testing.memory import stream_pair
from underpass.tunnel.driver import DRAIN_BYTES, DRAIN_SECONDS
from underpass.tunnel.tunnel_stream import TunnelStream


async def refusal(
    ends: Joined, address: Address = TARGET, early: EarlyData | None = None
) -> DialError:
    """Why the client gets no stream."""
    with pytest.raises(DialError) as caught:
        await ends.client.open(address, early=early)
    return caught.value


# --- streams are opened


async def test_what_one_end_asks_for_is_offered_at_the_other_and_stands() -> None:
    ends = Joined()
    async with asyncio.TaskGroup() as tasks:
        opening, offer = await ends.ask(tasks)
        assert (offer.address, offer.kind) == (TARGET, Kind.BYTES)
        there = offer.accept(BOUND)
        await steps()
        assert not opening.done()
        ends.pump()
        here = await opening
    assert here.peer == BOUND
    assert there.peer is None
    await here.send(b"hello")
    ends.pump()
    assert await there.receive() == b"hello"
    assert ends.client.stream_count == ends.server.stream_count == 1


async def test_a_server_asks_as_a_client_does() -> None:
    ends = Joined()
    async with asyncio.TaskGroup() as tasks:
        opening = tasks.create_task(ends.server.open(TARGET))
        await steps()
        ends.pump()
        ends.client.offers.get_nowait().accept()
        ends.pump()
        assert (await opening).peer is None


async def test_only_a_literal_address_is_taken_for_where_a_stream_stands() -> None:
    for bound in ("", "no address", "example.com:443"):
        ends = Joined()
        async with asyncio.TaskGroup() as tasks:
            opening, _ = await ends.ask(tasks)
            ends.server.accept(1, bound)
            ends.pump()
            assert (await opening).peer is None


async def test_what_comes_early_is_there_when_the_offer_is_accepted() -> None:
    ends = Joined()
    client, accepted = stream_pair()
    await client.send(b"a question")
    early = EarlyData(accepted)
    async with asyncio.TaskGroup() as tasks:
        opening = tasks.create_task(ends.client.open(TARGET, early=early))
        await steps()
        ends.pump()
        there = ends.server.offers.get_nowait().accept(BOUND)
        assert await there.receive() == b"a question"
        await client.send(b", and more")
        await steps()
        ends.pump()
        assert await there.receive() == b", and more"
        await opening
    assert early.sent == len(b"a question, and more")
    await client.send(b"late")
    assert await accepted.receive() == b"late"


async def test_what_comes_early_for_a_stream_that_is_refused_goes_nowhere() -> None:
    ends = Joined()
    client, accepted = stream_pair()
    early = EarlyData(accepted)
    async with asyncio.TaskGroup() as tasks:
        refused = tasks.create_task(refusal(ends, early=early))
        await steps()
        ends.pump()
        ends.server.offers.get_nowait().refuse(DialError(Failure.DNS_ERROR))
        ends.pump()
        # The opener has not run yet.
        early.came(b"too late")
    assert refused.result().failure is Failure.DNS_ERROR
    await client.send(b"later still")
    assert await accepted.receive() == b"later still"


async def test_a_refusal_brings_its_reason() -> None:
    ends = Joined()
    async with asyncio.TaskGroup() as tasks:
        refused = tasks.create_task(refusal(ends))
        await steps()
        ends.pump()
        offer = ends.server.offers.get_nowait()
        offer.refuse(DialError(Failure.DNS_ERROR, "no such name"))
        ends.pump()
        error = await refused
    assert (error.failure, error.details) == (Failure.DNS_ERROR, "no such name")
    assert ends.client.stream_count == ends.server.stream_count == 0


@pytest.mark.parametrize(
    ("host", "port"), [("a b", 80), ("", 80), ("a\r\nb", 80), ("a.example", 0)]
)
async def test_an_offer_of_no_address_is_refused_and_told_to_nobody(host: str, port: int) -> None:
    ends = Joined()
    async with asyncio.TaskGroup() as tasks:
        refused = tasks.create_task(refusal(ends, Address(host, port)))
        await steps()
        ends.pump()
        assert (await refused).failure is Failure.BAD_TARGET
    assert ends.server.offers.empty()


async def test_more_streams_than_may_be_are_refused_at_this_end() -> None:
    ends = Joined(StreamLimits(streams=1))
    await ends.open()
    with pytest.raises(DialError) as caught:
        await ends.client.open(TARGET)
    assert caught.value.failure is Failure.CONNECTION_LIMIT


async def test_a_cancelled_open_withdraws_the_offer() -> None:
    ends = Joined()
    async with asyncio.TaskGroup() as tasks:
        opening, offer = await ends.ask(tasks)
        opening.cancel()
        await steps()
        ends.pump()
        assert offer.is_withdrawn
    assert opening.cancelled()
    assert ends.server.stream_count == 0


@pytest.mark.parametrize("accepts", [True, False])
async def test_an_answer_that_crosses_the_cancellation_does_no_harm(accepts: bool) -> None:
    ends = Joined()
    async with asyncio.TaskGroup() as tasks:
        opening, offer = await ends.ask(tasks)
        opening.cancel()
        if accepts:
            offer.accept(BOUND)
        else:
            offer.refuse(DialError(Failure.DNS_ERROR))
        # The answer comes before the task has run, and has seen that it is cancelled.
        ends.pump()
        await steps()
        ends.pump()
    assert opening.cancelled()
    assert ends.client.stream_count == ends.server.stream_count == 0


async def test_a_stream_that_is_reset_before_its_opener_has_run_is_a_reset_stream() -> None:
    ends = Joined()
    async with asyncio.TaskGroup() as tasks:
        opening, offer = await ends.ask(tasks)
        there = offer.accept(BOUND)
        ends.pump()
        there.abort()
        ends.pump()
        here = await opening
    with pytest.raises(StreamReset):
        await here.receive()
    assert ends.client.stream_count == 0


async def test_an_offer_that_is_reset_is_no_stream() -> None:
    ends = Joined()
    async with asyncio.TaskGroup() as tasks:
        refused = tasks.create_task(refusal(ends))
        await steps()
        ends.pump()
        ends.server.reset(1)
        ends.pump()
        error = await refused
    assert error.failure is Failure.CONNECTION_TERMINATED
    assert error.details == "reset before it was opened"


# --- streams end


async def test_who_closes_drops_what_still_comes_until_the_other_end_ends() -> None:
    ends = Joined()
    here, there = await ends.open()
    await there.send(b"nobody reads it")
    ends.pump()
    await here.close()
    ends.pump()
    await there.send(b"nor this")
    ends.pump()
    assert await there.receive() == b""
    await there.close()
    ends.pump()
    assert ends.client.stream_count == ends.server.stream_count == 0
    assert not ends.client._draining


async def test_who_sends_on_to_a_closed_end_is_reset_within_bounds() -> None:
    ends = Joined()
    here, there = await ends.open()
    await here.close()
    sent = 0

    async def say_much() -> None:
        nonlocal sent
        while sent < 10 * DRAIN_BYTES:
            await there.send(bytes(PIECE))
            sent += PIECE

    async def say_for_ever() -> None:
        with pytest.raises(StreamReset):
            await say_much()

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        saying = tasks.create_task(say_for_ever())
        while not saying.done():
            await steps()
            ends.pump()
    assert DRAIN_BYTES <= sent < 2 * DRAIN_BYTES


def test_who_never_ends_is_reset_in_time() -> None:
    async def scene() -> None:
        ends = Joined()
        here, there = await ends.open()
        await here.close()
        ends.pump()
        began = now()
        await asyncio.sleep(DRAIN_SECONDS - 1)
        ends.pump()
        assert ends.server.stream_count == 1
        await asyncio.sleep(2)
        ends.pump()
        assert there.is_lost
        assert now() - began > DRAIN_SECONDS
        assert ends.client.stream_count == 0

    play(scene)


async def test_data_and_a_reset_that_come_at_once_to_a_closed_end() -> None:
    ends = Joined()
    here, there = await ends.open()
    await here.close()
    ends.pump()
    await there.send(b"last words")
    records = ends.server_feed.take(PIECE)
    there.abort()
    records += ends.server_feed.take(PIECE)
    ends.client_feed.receive(b"".join(records))
    assert ends.client.stream_count == 0
    assert not ends.client._draining


class Heard(Sink):
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[bytes | StreamError | None] = []

    def came(self, data: Payload) -> None:
        self.told.append(bytes(data))

    def ended(self) -> None:
        self.told.append(b"")

    def lost(self, error: StreamError | None) -> None:
        self.told.append(error)

    def ready(self) -> None:
        raise AssertionError("it was never full")


async def test_data_and_a_reset_that_come_at_once_to_an_end_that_pours() -> None:
    ends = Joined()
    here, there = await ends.open()
    heard = Heard()
    here.pour(heard).go_on()
    await there.send(b"last words")
    records = ends.server_feed.take(PIECE)
    there.abort()
    records += ends.server_feed.take(PIECE)
    ends.client_feed.receive(b"".join(records))
    [error] = heard.told
    assert isinstance(error, StreamReset)


@pytest.mark.parametrize("limit", [2, 64])
async def test_an_end_pours_what_was_left_and_what_comes_then(limit: int) -> None:
    ends = Joined()
    here, there = await ends.open()
    await there.send(b"before")
    ends.pump()
    received = await here.receive(limit)
    heard = Heard()
    here.pour(heard).go_on()
    await there.send(b"then")
    await there.send_eof()
    ends.pump()
    assert b"".join((received, *(told for told in heard.told if isinstance(told, bytes)))) == (
        b"beforethen"
    )
    assert heard.told[-2:] == [b"then", b""]


async def test_a_closed_end_that_is_reset_lets_go() -> None:
    ends = Joined()
    here, there = await ends.open()
    await here.close()
    there.abort()
    ends.pump()
    assert ends.client.stream_count == 0
    with pytest.raises(StreamClosed):
        await here.receive()


async def test_what_comes_for_a_stream_that_is_gone_is_nobodys() -> None:
    ends = Joined()
    here, there = await ends.open()
    await there.send(b"on its way")
    here.abort()
    ends.pump()
    assert ends.client.stream_count == 0
    assert there.is_lost


# --- carriers and the session as a whole


async def test_whoever_keeps_the_carriers_is_told_how_they_fare() -> None:
    ends = Joined()
    await ends.open()
    assert ends.told == [CarrierStands(0)]
    ends.client.drop_carrier(0)
    ends.client.drop_carrier(0)
    assert ends.told == [CarrierStands(0), SessionDetached()]
    ends.client_feed.take(PIECE)
    with pytest.raises(CarrierError, match="the carrier has ended"):
        await ends.client_feed.output()


async def test_a_carrier_that_brings_no_records_is_lost() -> None:
    ends = Joined()
    await ends.open()
    ends.client_feed.receive(bytes(100))
    assert isinstance(ends.told[1], CarrierLost)
    assert ends.client_feed.take(PIECE) == []
    with pytest.raises(CarrierError):
        await ends.client_feed.output()


async def test_records_that_are_lost_are_said_again() -> None:
    ends = Joined()
    here, there = await ends.open()
    await here.send(b"hello")
    lost = ends.client_feed.take(PIECE)
    ends.client_feed.lost(lost)
    ends.pump()
    assert await there.receive() == b"hello"


class Refilling(Sink):
    """Puts one piece more as soon as there is room; told of nothing else."""

    def __init__(self, stream: TunnelStream) -> None:
        self.tap = stream.pour(self)
        self.is_done = False

    def came(self, data: Payload) -> None:
        raise AssertionError("the other end says nothing")

    def ended(self) -> None:
        raise AssertionError("nor does it end")

    def lost(self, error: StreamError | None) -> None:
        raise AssertionError("nor is it lost")

    def ready(self) -> None:
        if not self.is_done:
            self.is_done = True
            self.tap.put(b"the last")


async def test_what_is_put_while_a_carrier_takes_wakes_it_again() -> None:
    ends = Joined(StreamLimits(initial_window=1024 * 1024))
    here, _ = await ends.open()
    sink = Refilling(here)
    wakes: list[bool] = []
    ends.client_feed.watch(lambda: wakes.append(sink.is_done))
    while not sink.tap.is_full:
        sink.tap.put(bytes(PIECE))
    # Nobody would take what was put within the last take.
    while not sink.is_done:
        ends.client.settle()
        assert ends.client_feed.take(PIECE)
    assert wakes[-1]


async def test_a_cut_record_is_forgotten() -> None:
    ends = Joined()
    here, there = await ends.open()
    await here.send(b"hello")
    records = ends.client_feed.take(PIECE)
    whole = b"".join(records)
    ends.server_feed.receive(whole[:10])
    ends.server_feed.cut()
    ends.server_feed.receive(whole)
    assert await there.receive() == b"hello"


def test_keepalive_can_be_asked_for_more_often() -> None:
    async def scene() -> None:
        ends = Joined()
        await ends.open()
        ends.client.lower_keepalive(0, 2.0)
        ends.pump()
        await asyncio.sleep(3)
        assert ends.client_feed.take(PIECE) != []
        assert ends.client.delay >= 0

    play(scene)


def test_the_grace_time_ends_a_session_without_carriers() -> None:
    async def scene() -> None:
        ends = Joined(grace=60.0)
        here, _ = await ends.open()
        ends.client.drop_carrier(0)
        async with asyncio.timeout(100):
            with pytest.raises(StreamReset, match="session was lost"):
                await here.receive()
        assert isinstance(ends.told[-1], SessionClosed)
        assert 59 < now() < 61
        assert ends.client._timer is None

    play(scene)


async def test_the_end_of_the_session_resets_streams_and_frees_timers() -> None:
    ends = Joined()
    here, there = await ends.open()
    closing, _ = await ends.open()
    await closing.close()
    async with asyncio.TaskGroup() as tasks:
        refused = tasks.create_task(refusal(ends))
        await steps()
        ends.client.session.abort(CloseCode.SHUTDOWN, "enough")
        ends.client.settle()
        error = await refused
    assert error.details == "the tunnel's session was lost"
    assert (ends.client._timer, ends.client._draining) == (None, {})
    # The last word still goes out, and then the feed ends.
    ends.pump()
    for feed in (ends.client_feed, ends.server_feed):
        with pytest.raises(CarrierError):
            await feed.output()
    for stream in (here, there):
        with pytest.raises(StreamReset, match="session was lost"):
            await stream.send(b"x")
    assert ends.server_told[-1] == SessionClosed(CloseCode.SHUTDOWN, "enough")
    assert ends.server.session.state is SessionState.CLOSED


async def test_a_closed_session_opens_nothing_and_has_no_use_for_carriers() -> None:
    ends = Joined()
    ends.client.session.abort(CloseCode.DONE, "over")
    ends.client.settle()
    async with asyncio.timeout(5):
        assert (await refusal(ends)).failure is Failure.TUNNEL_DOWN
    feed = ends.client.feed(1)
    # The last word, which nobody has taken.
    assert len(feed.take(PIECE)) == 1
    assert feed.take(PIECE) == []
    with pytest.raises(CarrierError, match="the session is closed"):
        await feed.output()
    ends.client.end()


async def test_streams_that_the_other_end_will_not_look_at_are_refused() -> None:
    ends = Joined()
    async with asyncio.TaskGroup() as tasks:
        ends.server.session.go_away(CloseCode.SHUTDOWN, "going")
        refused = tasks.create_task(refusal(ends))
        await steps()
        ends.pump()
        assert (await refused).failure is Failure.DRAINING
    assert ends.server.offers.empty()
