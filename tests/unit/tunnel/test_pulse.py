"""When a carrier that brings nothing is asked, and when it is doubted: in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.tunnel.asked import AskedTunnel, pulse_of
from tests.unit.tunnel.virtual_time import now, play
from underpass.tunnel.pulse import (
    ANSWER_SECONDS,
    MOST_PATIENCE,
    QUIET_SECONDS,
    REMEMBERED_SECONDS,
    WAITING_TIMES,
    Patience,
    Pulse,
)


async def doubted_at(pulse: Pulse, seconds: float = 1000.0) -> float | None:
    """When it is, if it is within so many seconds."""
    await asyncio.wait((pulse.doubted,), timeout=seconds)
    return round(now(), 3) if pulse.doubted.done() else None


@pytest.mark.parametrize("delay", [0.0, 0.5, 5.0])
def test_silence_is_asked_about_and_then_doubted(delay: float) -> None:
    async def scene() -> None:
        tunnel = AskedTunnel(delay)
        pulse = pulse_of(tunnel)
        await asyncio.sleep(1)
        pulse.sent()
        # Two round trips for each.
        asked_at = 1 + QUIET_SECONDS + 2 * delay
        assert await doubted_at(pulse) == asked_at + ANSWER_SECONDS + 2 * delay
        assert tunnel.asked == [(asked_at, 7)]

    play(scene)


def test_what_goes_on_being_sent_prolongs_nothing() -> None:
    async def scene() -> None:
        tunnel = AskedTunnel()
        pulse = pulse_of(tunnel)
        for _ in range(20):
            pulse.sent()
            await asyncio.sleep(0.6)
        assert pulse.doubted.done()
        assert tunnel.asked == [(QUIET_SECONDS, 7)]

    play(scene)


def test_who_sends_nothing_waits_for_nothing() -> None:
    async def scene() -> None:
        tunnel = AskedTunnel()
        pulse = pulse_of(tunnel)
        assert await doubted_at(pulse) is None
        pulse.sent()
        pulse.heard()
        assert await doubted_at(pulse) is None
        assert tunnel.asked == []

    play(scene)


def test_a_slow_line_that_brings_something_now_and_then_is_not_asked() -> None:
    async def scene() -> None:
        tunnel = AskedTunnel()
        pulse = pulse_of(tunnel)
        for _ in range(100):
            pulse.sent()
            await asyncio.sleep(QUIET_SECONDS - 0.1)
            pulse.heard()
        assert tunnel.asked == []

    play(scene)


def test_an_answer_is_as_good_as_anything() -> None:
    async def scene() -> None:
        tunnel = AskedTunnel()
        pulse = pulse_of(tunnel)
        for _ in range(10):
            pulse.sent()
            await asyncio.sleep(QUIET_SECONDS + ANSWER_SECONDS - 0.1)
            assert not pulse.doubted.done()
            pulse.heard()
        assert len(tunnel.asked) == 10

    play(scene)


def test_where_there_are_no_streams_nobody_is_asked() -> None:
    async def scene() -> None:
        tunnel = AskedTunnel()
        tunnel.is_idle = True
        pulse = pulse_of(tunnel)
        pulse.sent()
        assert await doubted_at(pulse) is None
        # A stream that begins after a long silence gets its time.
        tunnel.is_idle = False
        begun = now()
        pulse.sent()
        assert await doubted_at(pulse) == round(begun + QUIET_SECONDS + ANSWER_SECONDS, 3)

    play(scene)


def test_the_last_stream_ends_before_anybody_is_asked() -> None:
    async def scene() -> None:
        tunnel = AskedTunnel()
        pulse = pulse_of(tunnel)
        pulse.sent()
        await asyncio.sleep(1)
        tunnel.is_idle = True
        assert await doubted_at(pulse) is None
        assert tunnel.asked == []

    play(scene)


def test_where_messages_wait_for_one_another_silence_is_borne_with_for_longer() -> None:
    async def scene() -> None:
        tunnel = AskedTunnel(0.5)
        pulse = Pulse(tunnel, 7, Patience(), is_prompt=False)
        pulse.sent()
        asked_at = WAITING_TIMES * QUIET_SECONDS + 1
        assert await doubted_at(pulse) == asked_at + WAITING_TIMES * ANSWER_SECONDS + 1
        assert tunnel.asked == [(asked_at, 7)]

    play(scene)


@pytest.mark.parametrize("after", [1.0, QUIET_SECONDS + 1])
def test_one_that_has_ended_is_not_asked_any_more(after: float) -> None:
    async def scene() -> None:
        tunnel = AskedTunnel()
        pulse = pulse_of(tunnel)
        pulse.sent()
        await asyncio.sleep(after)
        asked = len(tunnel.asked)
        pulse.stop()
        pulse.sent()
        assert await doubted_at(pulse) is None
        assert len(tunnel.asked) == asked

    play(scene)


def test_something_that_comes_ends_the_doubt_and_the_next_takes_twice_as_long() -> None:
    async def scene() -> None:
        tunnel = AskedTunnel()
        pulse = pulse_of(tunnel)
        pulse.heard()
        first = pulse.came
        assert first.done()
        pulse.sent()
        assert await doubted_at(pulse) == 10.0
        came = pulse.came
        assert not came.done()
        # Nothing more is asked meanwhile.
        pulse.sent()
        await asyncio.sleep(100)
        assert len(tunnel.asked) == 1
        pulse.heard()
        assert came.done()
        assert not pulse.doubted.done()
        pulse.sent()
        assert await doubted_at(pulse) == 110.0 + 2 * 10.0
        assert [number for _, number in tunnel.asked] == [7, 7]

    play(scene)


def test_patience_grows_with_each_doubt_and_is_forgotten() -> None:
    patience = Patience()
    assert patience.times(0.0) == 1
    for times in (2, 4, 8, 8):
        patience.doubted(100.0)
        assert patience.times(100.0) == times
    assert MOST_PATIENCE == 8
    assert patience.times(100.0 + REMEMBERED_SECONDS) == 8
    assert patience.times(101.0 + REMEMBERED_SECONDS) == 1
    patience.doubted(101.0 + REMEMBERED_SECONDS)
    assert patience.times(101.0 + REMEMBERED_SECONDS) == 2
