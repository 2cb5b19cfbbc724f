"""A client's tunnel is kept up, whatever becomes of its carriers: scenes in virtual time."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from tests.unit.tunnel.far_end import Way, stage
from tests.unit.tunnel.virtual_time import now, play
from underpass.address import Address
from underpass.carriers.base import CarrierError
from underpass.errors import DialError, Failure
from underpass.net.early import EarlyData
from underpass.net.stream import Stream
from underpass.protocol.frames import CloseCode
from underpass.protocol.hello import Status
from underpass.testing.memory import stream_pair
from underpass.tunnel import keeper
from underpass.tunnel.backoff import Backoff
from underpass.tunnel.greeting import HandshakeRefused
from underpass.tunnel.joining import SessionLost
from underpass.tunnel.keeper import TunnelDown, TunnelUp

WHERE = Address("echo.example", 7)


async def echo(stream: Stream, size: int = 1000) -> None:
    """Send bytes and get the same back."""
    data = bytes(range(256)) * (size // 256 + 1)
    await stream.send(data)
    back = b""
    while len(back) < len(data):
        back += await stream.receive()
    assert back == data


def test_the_best_kind_carries_where_it_works() -> None:
    async def scene() -> None:
        best, other = Way("best"), Way("other")
        async with stage(best, other) as one:
            stream = await one.keeper.open(WHERE)
            await echo(stream)
            assert one.keeper.carrier == "best"
            assert now() < 0.2
            assert other.made == 0
            assert [type(event) for event in one.told] == [TunnelUp]
            assert one.keeper.rank == 0

    play(scene)


def test_the_delay_that_is_told_is_what_was_measured() -> None:
    async def scene() -> None:
        async with stage(Way("far", delay=0.25)) as one:
            await one.until_up("far")
            [up] = one.told
            assert isinstance(up, TunnelUp)
            assert 0.4 < up.delay < 0.8

    play(scene)


def test_a_kind_that_is_refused_costs_nothing() -> None:
    async def scene() -> None:
        best = Way("best", fails=CarrierError("no WebSocket: HTTP 403", 403))
        async with stage(best, Way("other")) as one:
            await echo(await one.keeper.open(WHERE))
            assert one.keeper.carrier == "other"
            assert now() < 0.2

    play(scene)


@pytest.mark.parametrize("trouble", ["hangs", "is_mute"])
def test_the_last_of_four_kinds_brings_the_first_byte_within_a_second_and_three_round_trips(
    trouble: str,
) -> None:
    async def scene() -> None:
        bad = [Way(name, **{trouble: True}) for name in ("a", "b", "c")]  # type: ignore[arg-type]  # by name
        async with stage(*bad, Way("last", delay=0.05)) as one:
            await echo(await one.keeper.open(WHERE), 1)
            assert one.keeper.carrier == "last"
            assert now() < 1.0 + 3 * 0.1 + 0.05

    play(scene)


def test_what_worked_last_is_tried_first() -> None:
    async def scene() -> None:
        ways = [Way("a", hangs=True), Way("b", hangs=True), Way("c")]
        async with stage(*ways, first=2) as one:
            await one.until_up("c")
            assert now() < 0.2
            assert [way.made for way in ways] == [0, 0, 1]

    play(scene)


def test_a_carrier_that_dies_breaks_no_stream() -> None:
    async def scene() -> None:
        way = Way("only")
        async with stage(way) as one:
            stream = await one.keeper.open(WHERE)
            for _ in range(5):
                await echo(stream)
                way.cut()
                await echo(stream)
            assert one.far_end.hellos == 1
            assert len(one.far_end.tunnels) == 1

    play(scene)


def test_other_ways_take_over_and_no_stream_notices() -> None:
    async def scene() -> None:
        old, new, newer = Way("old"), Way("new"), Way("newer")
        async with stage(old) as one:
            stream = await one.keeper.open(WHERE)
            await echo(stream)
            one.replace(new, newer, first=1)
            await echo(stream)
            await one.until_up("newer")
            made = old.made
            newer.cut()
            await echo(stream)
            await one.until_up("newer", 2)
            assert (one.far_end.hellos, old.made) == (1, made)
            assert [event.carrier for event in one.told if isinstance(event, TunnelUp)] == [
                "old",
                "newer",
                "newer",
            ]

    play(scene)


def test_other_ways_are_tried_at_once_where_none_has_worked() -> None:
    async def scene() -> None:
        dead, good = Way("dead", fails=CarrierError("no way")), Way("good")
        async with stage(dead) as one:
            await asyncio.sleep(100)
            asked = now()
            one.replace(good)
            await one.until_up("good")
            assert now() - asked < 0.5

    play(scene)


def test_a_race_under_way_gives_way_to_other_ways() -> None:
    async def scene() -> None:
        silent, good = Way("silent", delay=1000.0), Way("good")
        async with stage(silent) as one:
            await asyncio.sleep(1)
            asked = now()
            one.replace(good)
            await one.until_up("good")
            assert now() - asked < 0.5
            # None is told to be down that nobody wants any more.
            assert [type(event) for event in one.told] == [TunnelUp]

    play(scene)


def test_a_carrier_cut_every_two_seconds_resumes_at_once() -> None:
    async def scene() -> None:
        way = Way("only", life=2.0)
        async with stage(way) as one:
            stream = await one.keeper.open(WHERE)
            longest = 0.0
            while now() < 120:
                asked = now()
                await echo(stream, 1)
                longest = max(longest, now() - asked)
                await asyncio.sleep(0.05)
            assert longest < 0.3
            assert way.made > 50
            assert one.far_end.hellos == 1

    play(scene)


def test_another_kind_takes_over_where_one_stops_working() -> None:
    async def scene() -> None:
        best, other = Way("best"), Way("other")
        async with stage(best, other) as one:
            stream = await one.keeper.open(WHERE)
            await echo(stream)
            best.fails = CarrierError("no WebSocket: HTTP 403", 403)
            best.cut()
            await echo(stream)
            await one.until_up("other", 1)

    play(scene)


def test_a_better_kind_is_found_in_the_background() -> None:
    async def scene() -> None:
        best = Way("best", fails=CarrierError("no WebSocket: HTTP 403", 403))
        async with stage(best, Way("other")) as one:
            stream = await one.keeper.open(WHERE)
            await one.until_up("other")
            best.fails = None
            await one.until_up("best")
            assert 29 < now() < 32
            await echo(stream)
            assert one.carrying == ["best"]
            assert one.far_end.hellos == 1

    play(scene)


def test_a_better_kind_that_never_works_is_tried_ever_more_seldom() -> None:
    async def scene() -> None:
        best = Way("best", fails=CarrierError("no WebSocket: HTTP 403", 403))
        async with stage(best, Way("other")) as one:
            await one.until_up("other")
            await asyncio.sleep(3600)
            # An attach and a hello each time, after 30, 60, 120, … seconds.
            assert 7 <= best.made <= 16
            assert one.keeper.carrier == "other"

    play(scene)


def test_a_network_that_is_gone_for_a_minute_breaks_no_stream() -> None:
    async def scene() -> None:
        ways = [Way("best"), Way("other")]
        async with stage(*ways) as one:
            stream = await one.keeper.open(WHERE)
            await echo(stream)
            for way in ways:
                way.fails = CarrierError("no route to host")
                way.cut()
            await asyncio.sleep(60)
            assert one.keeper.carrier is None
            assert isinstance(one.told[-1], TunnelDown)
            assert one.told[-1].reasons[0] == "best: no route to host"
            for way in ways:
                way.fails = None
            await echo(stream)
            assert one.far_end.hellos == 1

    play(scene)


def test_a_server_that_was_started_anew_gets_a_new_session() -> None:
    async def scene() -> None:
        way = Way("only")
        async with stage(way) as one:
            stream = await one.keeper.open(WHERE)
            one.far_end.restart()
            way.cut()
            with pytest.raises(Exception, match="session was lost"):
                await stream.receive()
            await echo(await one.keeper.open(WHERE))
            assert one.far_end.hellos == 2
            assert len(one.far_end.open_sessions) == 1
            assert [type(event) for event in one.told] == [TunnelUp, SessionLost, TunnelUp]

    play(scene)


def test_the_servers_reason_is_told_where_it_ends_the_session() -> None:
    async def scene() -> None:
        async with stage(Way("only")) as one:
            stream = await one.keeper.open(WHERE)
            [there] = one.far_end.tunnels.values()
            there.abort(CloseCode.LIMIT, "another session took its place")
            with pytest.raises(Exception, match="session was lost"):
                await stream.receive()
            await echo(await one.keeper.open(WHERE))
            lost = SessionLost("another session took its place")
            assert [event for event in one.told if isinstance(event, SessionLost)] == [lost]

    play(scene)


def test_a_session_that_ends_once_its_streams_have_is_not_lost() -> None:
    async def scene() -> None:
        async with stage(Way("only")) as one:
            stream = await one.keeper.open(WHERE)
            await echo(stream)
            [there] = one.far_end.tunnels.values()
            there.close()
            await echo(stream)
            await stream.close()
            await one.until_up("only")
            await asyncio.sleep(5)
            await echo(await one.keeper.open(WHERE))
            assert there.is_closed
            assert [type(event) for event in one.told] == [TunnelUp, TunnelUp]

    play(scene)


def test_who_ends_it_himself_is_not_told() -> None:
    async def scene() -> None:
        async with stage(Way("only")) as one:
            await echo(await one.keeper.open(WHERE))
            one.running.cancel()
            await asyncio.wait((one.running,))
            assert [type(event) for event in one.told] == [TunnelUp]

    play(scene)


def test_an_opening_that_a_restart_interrupts_is_made_again() -> None:
    async def scene() -> None:
        way = Way("only", delay=0.1)
        async with stage(way) as one:
            await one.until_up("only")
            opening = one.running.get_loop().create_future()

            async def opens() -> None:
                opening.set_result(await one.keeper.open(WHERE))

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(opens())
                await asyncio.sleep(0.05)
                one.far_end.restart()
                way.cut()
            await echo(opening.result())

    play(scene)


def test_what_was_said_early_to_a_lost_session_is_not_said_twice() -> None:
    async def scene() -> None:
        way = Way("only")
        async with stage(way) as one:
            await echo(await one.keeper.open(WHERE))
            for says_something in (True, False):
                client, accepted = stream_pair()
                if says_something:
                    await client.send(b"a question")
                one.far_end.restart()
                way.cut()
                opening = one.keeper.open(WHERE, EarlyData(accepted))
                if says_something:
                    with pytest.raises(DialError):
                        await opening
                else:
                    await echo(await opening)

    play(scene)


def test_a_page_of_some_box_does_not_lose_the_session() -> None:
    async def scene() -> None:
        best = Way("best")
        async with stage(best, Way("other")) as one:
            stream = await one.keeper.open(WHERE)
            # The box refuses with a status, as a server would that has forgotten us.
            best.fails = CarrierError("no WebSocket: HTTP 404", 404)
            best.cut()
            await echo(stream)
            assert len(one.far_end.open_sessions) == 1

    play(scene)


def test_of_two_that_begin_at_once_one_session_stays() -> None:
    async def scene() -> None:
        # The first is slow, so that the second sets out, and both say hello.
        async with stage(Way("slow", delay=0.4), Way("quick", delay=0.35)) as one:
            await echo(await one.keeper.open(WHERE))
            await asyncio.sleep(20)
            assert one.far_end.hellos == 2
            assert len(one.far_end.open_sessions) == 1

    play(scene)


def test_a_refusal_for_good_ends_it_with_the_servers_reason() -> None:
    async def scene() -> None:
        async with stage(Way("best"), Way("other")) as one:
            one.far_end.refusal = (Status.CODE, "this invite has expired")
            with pytest.raises(DialError, match="this invite has expired") as caught:
                await one.keeper.open(WHERE)
            assert caught.value.failure is Failure.TUNNEL_DOWN
            assert one.keeper.refused is not None
            assert isinstance(await one.end(), HandshakeRefused)
            assert one.far_end.hellos == 1
            assert one.told == []

    play(scene)


def test_a_server_that_is_full_is_asked_again_later() -> None:
    async def scene() -> None:
        async with stage(Way("only")) as one:
            one.far_end.refusal = (Status.FULL, "too many sessions")
            await asyncio.sleep(20)
            assert isinstance(one.told[-1], TunnelDown)
            assert "too many sessions" in one.told[-1].reasons[0]
            one.far_end.refusal = None
            await echo(await one.keeper.open(WHERE))

    play(scene)


def test_a_clock_that_is_wrong_is_corrected_at_once() -> None:
    async def scene() -> None:
        async with stage(Way("only")) as one:
            one.far_end.refusal = (Status.CLOCK, "your clock is wrong")
            await asyncio.sleep(0.03)
            one.far_end.refusal = None
            await one.until_up("only")
            assert now() < 0.2

    play(scene)


def test_a_dial_does_not_wait_for_ever_for_a_tunnel() -> None:
    async def scene() -> None:
        async with stage(Way("only", fails=CarrierError("no route to host"))) as one:
            with pytest.raises(DialError, match="no carrier has worked for 30 s"):
                await one.keeper.open(WHERE)
            assert now() == pytest.approx(30, abs=0.1)

    play(scene)


def test_a_dial_does_not_wait_for_ever_for_an_answer() -> None:
    async def scene() -> None:
        way = Way("only")
        async with stage(way) as one:
            await one.until_up("only")
            way.hangs = True
            way.cut()
            await asyncio.sleep(1)
            with pytest.raises(DialError, match="no answer from the far end for 60 s"):
                await one.keeper.open(WHERE)

    play(scene)


def test_a_kind_that_is_cut_again_and_again_gets_a_successor_before() -> None:
    async def scene() -> None:
        way = Way("only", life=60.0)
        async with stage(way) as one:
            stream = await one.keeper.open(WHERE)
            await asyncio.sleep(190)
            ups = len(one.told)
            longest = 0.0
            while now() < 600:
                asked = now()
                await echo(stream, 1)
                longest = max(longest, now() - asked)
                await asyncio.sleep(0.17)
            # A renewal now and then, and never a gap.
            assert len(one.told) - ups >= 6
            assert longest < 0.1
            assert one.far_end.hellos == 1

    play(scene)


def test_after_sleep_dead_carriers_are_found_soon() -> None:
    async def scene() -> None:
        way = Way("only")
        async with stage(way) as one:
            stream = await one.keeper.open(WHERE)
            await echo(stream)
            # The network forgot it: nothing comes any more, and nothing says so.
            [carrier] = way.running
            carrier.is_deaf = True
            slept = now()
            one.keeper.woke()
            await echo(stream)
            assert now() - slept < 5

    play(scene)


@pytest.mark.parametrize("downloads", [False, True])
def test_an_address_that_changes_in_silence_costs_seconds_not_a_minute(downloads: bool) -> None:
    async def scene() -> None:
        way = Way("only")
        async with stage(way) as one:
            stream = await one.keeper.open(WHERE)
            await echo(stream)
            await asyncio.sleep(5)
            if downloads:
                # What the other end sends is lost, and this end sends nothing it needs an ACK for.
                await stream.send(b"more")
                await asyncio.sleep(1.5 * way.delay)
            way.strand()
            began = now()
            if not downloads:
                await stream.send(b"more")
            assert await stream.receive() == b"more"
            assert now() - began < 12
            assert one.far_end.hellos == 1
            assert len(way.running) == 1

    play(scene)


def test_silence_before_a_network_that_is_dark_breaks_nothing() -> None:
    async def scene() -> None:
        way = Way("only")
        async with stage(way) as one:
            stream = await one.keeper.open(WHERE)
            await echo(stream)
            way.strand()
            way.hangs = True
            await stream.send(b"more")
            await asyncio.sleep(40)
            # It has been tried again and again, beside what may come back to life.
            assert 2 <= way.made <= 6
            way.hangs = False
            assert await stream.receive() == b"more"
            assert now() < 60
            assert one.far_end.hellos == 1

    play(scene)


def test_once_the_silent_one_is_known_to_be_dead_the_search_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Each wait as long as it may be.
    longest = partial(Backoff, uniform=lambda _, bound: bound)
    monkeypatch.setattr(keeper, "Backoff", longest)

    async def scene() -> None:
        way = Way("only")
        async with stage(way) as one:
            stream = await one.keeper.open(WHERE)
            await echo(stream)
            way.strand()
            way.hangs = True
            await stream.send(b"more")
            await asyncio.sleep(62)
            assert isinstance(one.told[-1], TunnelUp)
            way.hangs = False
            assert await stream.receive() == b"more"
            # The last try in the dark takes 15 s, and the first wait half of one.
            assert now() < 60 + 15 + 2

    play(scene)


def test_one_that_was_only_silent_goes_on_and_is_borne_with_longer_from_then_on() -> None:
    async def scene() -> None:
        way = Way("only")
        async with stage(way) as one:
            stream = await one.keeper.open(WHERE)
            await echo(stream, 1)
            carriers = list(way.running)
            # A queue that whatever goes this way waits in, a new carrier too.
            way.hangs, way.hold_seconds = True, 16.0
            for _ in range(2):
                await echo(stream, 1)
                assert way.made == 2
            assert way.running == carriers
            assert len(one.told) == 1

    play(scene)


def test_another_kind_takes_over_where_the_silent_one_does_not_come_back() -> None:
    async def scene() -> None:
        best, other = Way("best"), Way("other")
        async with stage(best, other) as one:
            stream = await one.keeper.open(WHERE)
            await echo(stream)
            best.strand()
            best.hangs = True
            began = now()
            await echo(stream)
            assert now() - began < 15
            assert one.keeper.carrier == "other"

    play(scene)


def test_a_kind_whose_messages_wait_for_one_another_is_doubted_later() -> None:
    async def scene() -> None:
        way = Way("only", is_prompt=False)
        async with stage(way) as one:
            stream = await one.keeper.open(WHERE)
            await echo(stream)
            way.strand()
            await stream.send(b"more")
            await asyncio.sleep(18)
            assert way.made == 1
            assert await stream.receive() == b"more"
            assert now() < 25

    play(scene)


@pytest.mark.parametrize("is_prompt", [False, True])
@pytest.mark.parametrize("seconds", [20.0, 40.0])
def test_messages_that_are_held_for_long_pass_soon_and_later_at_once(
    seconds: float, is_prompt: bool
) -> None:
    async def scene() -> None:
        way = Way("only", is_prompt=is_prompt)
        async with stage(way) as one:
            stream = await one.keeper.open(WHERE)
            await echo(stream)
            # What is small passes, and the rest is looked at for so long.
            way.hold_seconds, way.held_bytes = seconds, 5000
            began = now()
            await echo(stream, 6000)
            assert now() - began < seconds + 25
            made = way.made
            for _ in range(3):
                began = now()
                await echo(stream, 6000)
                assert now() - began < seconds + 1
            assert (way.made, one.far_end.hellos) == (made, 1)

    play(scene)


def test_the_end_is_told_to_the_server() -> None:
    async def scene() -> None:
        way = Way("only")
        async with stage(way) as one:
            stream = await one.keeper.open(WHERE)
            await echo(stream)
            one.running.cancel()
            await asyncio.wait((one.running,))
            await asyncio.sleep(0.1)
            assert one.far_end.open_sessions == []
            assert way.running == []

    play(scene)


def test_nothing_is_left_running_when_it_is_ended_while_it_looks() -> None:
    async def scene() -> None:
        ways = [Way("a", hangs=True), Way("b", is_mute=True), Way("c", hangs=True)]
        async with stage(*ways):
            await asyncio.sleep(0.6)
        assert [way.running for way in ways] == [[], [], []]

    play(scene)


def test_an_attempt_that_fails_as_all_ends_begins_nothing_more() -> None:
    for nanoseconds in range(16):
        # The clock goes on by some between two timers: one of these meets the refusal.
        play(partial(_ended_as_it_is_refused, nanoseconds * 1e-9))


async def _ended_as_it_is_refused(later: float) -> None:
    way = Way("only", delay=0.5)
    async with stage(way) as one:
        await one.until_up("only")
        # An attach that is refused is followed by a hello.
        way.fails = CarrierError("HTTP 403", 403)
        way.cut()
        loop = asyncio.get_running_loop()
        loop.call_at(loop.time() + way.delay + later, one.running.cancel)
        await asyncio.wait((one.running,))
        assert one.running.cancelled()
