"""When requests ask that take turns with what goes up: in virtual time."""

from __future__ import annotations

import pytest

from tests.unit.carriers.script import ScriptedFeed
from tests.unit.tunnel.virtual_time import now, play
from underpass.carriers.base import CarrierError
from underpass.carriers.pacing import SERIAL_HOLD_SECONDS
from underpass.carriers.turns import ANSWER_SECONDS, Turns


async def moment(turns: Turns, feed: ScriptedFeed) -> float:
    """How long it was."""
    before = now()
    await turns.moment(feed)
    return round(now() - before, 3)


def test_moments_become_longer_until_requests_wait_at_the_server() -> None:
    async def scene() -> None:
        turns, feed = Turns(), ScriptedFeed()
        assert turns.hold == SERIAL_HOLD_SECONDS
        assert await moment(turns, feed) == 0

        turns.moved()
        moments = []
        while not turns.hold:
            turns.came(0)
            moments.append(await moment(turns, feed))
        assert moments == [0.05, 0.1, 0.2, 0.4, 0.8, 0]
        turns.came(0)
        assert turns.hold == SERIAL_HOLD_SECONDS

    play(scene)


def test_what_has_come_is_given_time_for_its_answer() -> None:
    async def scene() -> None:
        turns, feed = Turns(), ScriptedFeed()
        turns.came(0)
        turns.came(100)
        assert turns.hold == 0
        assert await moment(turns, feed) == ANSWER_SECONDS
        feed.give(b"answer")
        assert await moment(turns, feed) == 0

    play(scene)


def test_the_end_is_heard_between_two_requests() -> None:
    async def scene() -> None:
        turns, feed = Turns(), ScriptedFeed()
        turns.moved()
        feed.end("over")
        with pytest.raises(CarrierError, match="over"):
            await turns.moment(feed)

    play(scene)
