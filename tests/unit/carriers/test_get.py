"""GET alone: what goes up in the target, and what waits for an answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.unit.carriers.script import ScriptedFeed, answering, ok, refused, until
from underpass.carriers.base import CarrierError
from underpass.carriers.get import PIECE_BYTES, GetCarrier
from underpass.carriers.http_client import HttpClient
from underpass.carriers.pacing import Pacing
from underpass.carriers.pieces import decode_data


class Server:
    """Takes pieces by number; answers those that wait with what `down` has."""

    def __init__(self, *refusals: int) -> None:
        self.refusals = list(refusals)
        self.ups: dict[int, bytes] = {}
        self.down: asyncio.Queue[bytes] = asyncio.Queue()
        self.here = self.most_at_once = 0

    async def __call__(self, line: str, body: bytes) -> bytes:
        self.here += 1
        self.most_at_once = max(self.most_at_once, self.here)
        try:
            return await self._answer(line, body)
        finally:
            self.here -= 1

    async def _answer(self, line: str, body: bytes) -> bytes:
        assert line.startswith("GET /")
        assert not body
        rest = line.split("/")[2:]
        if rest == ["end"]:
            return refused(404)
        piece = decode_data(rest[1])
        if piece and self.refusals:
            return refused(self.refusals.pop(0))
        self.ups[int(rest[0])] = piece
        if piece or rest[0] == "0":
            return ok(b"welcome" if rest[0] == "0" else b"")
        return ok(await self.down.get())

    @property
    def up(self) -> bytes:
        return b"".join(piece for number, piece in sorted(self.ups.items()) if number)


@contextlib.asynccontextmanager
async def carried(server: Server, pacing: Pacing, feed: ScriptedFeed) -> AsyncIterator[None]:
    async def run(client: HttpClient) -> None:
        with contextlib.suppress(CarrierError):
            await GetCarrier(client, pacing).run(feed)

    async with answering(server) as (client, _), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(run(client))
        yield
        task.cancel()


async def test_the_opening_message_is_piece_0() -> None:
    server = Server()
    async with answering(server) as (client, _):
        carrier = GetCarrier(client, Pacing())
        assert await carrier.open(b"hello") == b"welcome"
        carrier.abort()
    assert server.ups == {0: b"hello"}


async def test_an_opening_that_is_refused_says_why() -> None:
    async with answering(Server(403)) as (client, _):
        with pytest.raises(CarrierError) as caught:
            await GetCarrier(client, Pacing()).open(b"hello")
    assert caught.value.status == 403


async def test_moves_both_ways() -> None:
    server, feed = Server(), ScriptedFeed()
    async with carried(server, Pacing(), feed):
        feed.give(b"up", bytes(3 * PIECE_BYTES))
        server.down.put_nowait(b"down")
        await until(lambda: feed.came == b"down" and len(server.up) == 2 + 3 * PIECE_BYTES)
    assert server.up == b"up" + bytes(3 * PIECE_BYTES)


async def test_sends_again_under_the_same_number() -> None:
    server, feed = Server(503), ScriptedFeed()
    async with carried(server, Pacing(), feed):
        feed.give(b"up")
        await until(lambda: server.up == b"up")
    assert feed.returned == []


async def test_gives_back_what_is_too_long_for_a_target() -> None:
    server, feed, pacing = Server(414), ScriptedFeed(), Pacing()
    record = bytes(PIECE_BYTES)
    async with carried(server, pacing, feed):
        feed.give(record)
        await until(lambda: feed.returned == [record])
    assert pacing.up.size == PIECE_BYTES // 2


@pytest.mark.parametrize("is_known", [True, False])
async def test_takes_turns_where_the_path_does(is_known: bool) -> None:
    server, feed, pacing = Server(), ScriptedFeed(), Pacing()
    if is_known:
        pacing.turn_serial()
    else:
        pacing.path.doubt(asyncio.get_running_loop().time())
    feed.give(b"up")
    async with carried(server, pacing, feed):
        await until(lambda: server.up == b"up" and len(server.ups) == 2)
        feed.give(b"more")
        server.down.put_nowait(b"down")
        await until(lambda: feed.came == b"down" and server.up == b"upmore")
        # Nothing was asked for beside.
        assert sorted(server.ups) == list(range(1, len(server.ups) + 1))
        assert server.most_at_once == 1
