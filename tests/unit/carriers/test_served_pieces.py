"""The server's half: answers in order, each kept, nobody held up, nobody left waiting."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.unit.carriers.script import ScriptedFeed, until
from underpass.carriers import served_pieces
from underpass.carriers.base import CarrierError
from underpass.carriers.pieces import MAX_EARLY
from underpass.carriers.served_pieces import MAX_AHEAD, ServedPieces, Wish

NOW = Wish(hold=0.0)


@contextlib.asynccontextmanager
async def served(feed: ScriptedFeed) -> AsyncIterator[ServedPieces]:
    pieces = ServedPieces()

    async def run() -> None:
        with contextlib.suppress(CarrierError):
            await pieces.run(feed)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run())
        yield pieces
        pieces.end("the test is over")


async def down(pieces: ServedPieces, number: int, wish: Wish | None = None) -> bytes:
    async with asyncio.timeout(5):
        return b"".join((await pieces.down(number, wish or Wish()))[0])


async def test_pieces_that_come_up_are_put_in_order() -> None:
    feed = ScriptedFeed()
    async with served(feed) as pieces:
        await pieces.up(1, b"b")
        assert feed.came == b""
        await pieces.up(0, b"a")
        await pieces.up(1, b"B")
    assert feed.came == b"ab"


async def test_a_piece_too_far_ahead_ends_the_carrier() -> None:
    async with served(ScriptedFeed()) as pieces:
        with pytest.raises(CarrierError):
            await pieces.up(MAX_EARLY, b"x")
        with pytest.raises(CarrierError):
            await pieces.up(0, b"a")


async def test_the_lowest_number_is_answered_first() -> None:
    feed = ScriptedFeed()
    async with served(feed) as pieces, asyncio.TaskGroup() as tasks:
        later = tasks.create_task(down(pieces, 1))
        first = tasks.create_task(down(pieces, 0))
        await asyncio.sleep(0)
        feed.give(b"one")
        assert await first == b"one"
        feed.give(b"two")
        assert await later == b"two"


async def test_a_request_that_comes_again_gets_the_same_answer() -> None:
    feed = ScriptedFeed()
    async with served(feed) as pieces:
        feed.give(b"one")
        assert await down(pieces, 0) == b"one"
        feed.give(b"two")
        assert await down(pieces, 0) == b"one"
        assert await down(pieces, 1) == b"two"


async def test_two_of_one_number_at_once_get_the_same_answer() -> None:
    feed = ScriptedFeed()
    async with served(feed) as pieces, asyncio.TaskGroup() as tasks:
        both = [tasks.create_task(down(pieces, 0)) for _ in range(2)]
        await asyncio.sleep(0)
        feed.give(b"one")
        assert [await one for one in both] == [b"one", b"one"]


async def test_one_whose_time_is_over_gets_an_empty_answer() -> None:
    feed = ScriptedFeed()
    async with served(feed) as pieces:
        assert await down(pieces, 0, NOW) == b""
        # Out of its turn too: what has the turn gets what comes.
        assert await down(pieces, 2, NOW) == b""
        feed.give(b"one")
        assert await down(pieces, 1) == b"one"
        feed.give(b"two")
        assert await down(pieces, 3) == b"two"


async def test_an_answer_is_as_small_as_was_asked_for() -> None:
    feed = ScriptedFeed()
    feed.give(b"one", b"two")
    async with served(feed) as pieces:
        assert await down(pieces, 0, Wish(size=3)) == b"one"
        assert await down(pieces, 1, Wish(size=3)) == b"two"


async def test_a_number_far_above_the_one_that_waits_lets_that_go() -> None:
    feed = ScriptedFeed()
    async with served(feed) as pieces, asyncio.TaskGroup() as tasks:
        waits = tasks.create_task(down(pieces, 0))
        for number in range(1, MAX_AHEAD + 1):
            assert await down(pieces, number, NOW) == b""
        assert await waits == b""


async def test_numbers_too_far_ahead_or_long_gone_have_no_answer() -> None:
    async with served(ScriptedFeed()) as pieces:
        with pytest.raises(CarrierError):
            await pieces.down(MAX_EARLY, NOW)
        for number in range(MAX_EARLY + 2):
            await pieces.down(number, NOW)
        with pytest.raises(CarrierError):
            await pieces.down(0, NOW)
        assert await down(pieces, 2, NOW) == b""


async def test_kept_answers_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served_pieces, "KEPT_BYTES", 10)
    feed = ScriptedFeed()
    async with served(feed) as pieces:
        for number in range(3):
            feed.give(b"sixty %d" % number)
            await pieces.down(number, NOW)
        assert await down(pieces, 2) == b"sixty 2"
        with pytest.raises(CarrierError):
            await pieces.down(0, NOW)


async def test_the_last_word_of_a_session_is_an_answer() -> None:
    feed = ScriptedFeed()
    async with served(feed) as pieces, asyncio.TaskGroup() as tasks:
        waits = [tasks.create_task(down(pieces, number)) for number in range(2)]
        await asyncio.sleep(0)
        feed.give(b"farewell")
        feed.end("the session is over")
        assert [await one for one in waits] == [b"farewell", b""]
        with pytest.raises(CarrierError):
            await pieces.down(2, NOW)


async def test_who_waits_is_let_go_when_the_carrier_ends() -> None:
    async with served(ScriptedFeed()) as pieces, asyncio.TaskGroup() as tasks:
        waits = tasks.create_task(down(pieces, 0))
        await asyncio.sleep(0)
        pieces.end("ended by the client")
        assert await waits == b""


async def test_streams_until_the_session_ends_it() -> None:
    feed = ScriptedFeed()
    feed.give(b"one")
    came: list[bytes] = []

    async def read(pieces: ServedPieces) -> None:
        async with contextlib.aclosing(pieces.streamed(lambda: 65536)) as chunks:
            async for chunk in chunks:
                came.append(chunk)  # noqa: PERF401 - each is looked for as it comes

    async with served(feed) as pieces, asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read(pieces))
        await until(lambda: came == [b"one"])
        assert not pieces.may_stream, "it is given once"
        feed.give(b"two")
        await until(lambda: came == [b"one", b"two"])
        feed.end("the session is over")
        await reading


async def test_a_carrier_at_which_nobody_comes_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served_pieces, "ABANDONED_SECONDS", 0.02)
    pieces = ServedPieces()
    async with asyncio.timeout(5):
        with pytest.raises(CarrierError, match="no request"):
            await pieces.run(ScriptedFeed())


async def test_who_waits_keeps_the_carrier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served_pieces, "ABANDONED_SECONDS", 0.02)
    feed = ScriptedFeed()
    async with served(feed) as pieces, asyncio.TaskGroup() as tasks:
        waits = tasks.create_task(down(pieces, 0))
        await asyncio.sleep(0.06)
        feed.give(b"still here")
        assert await waits == b"still here"
