"""`poll` on paths that let one request at a time through, and on those that are only slow."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from tests.unit.carriers.script import NOTHING, ScriptedFeed, answering, ok, until
from tests.unit.frontends.http.dialogue import Origin
from underpass.carriers import calls, poll
from underpass.carriers.base import CarrierError
from underpass.carriers.http_client import HttpClient
from underpass.carriers.methods import Methods
from underpass.carriers.pacing import Pacing
from underpass.carriers.poll import PollCarrier


class Path:
    """A server that waits with what comes down, behind a box that may let one request through."""

    def __init__(self, *, serial: bool) -> None:
        self.turn = asyncio.Lock() if serial else None
        self.ups: list[bytes] = []
        self.down: asyncio.Queue[bytes] = asyncio.Queue()
        self.kept: dict[str, bytes] = {}

    async def __call__(self, line: str, body: bytes) -> bytes:
        async with self.turn or contextlib.nullcontext():
            if line.startswith("POST"):
                self.ups.append(body)
                return NOTHING
            if line.startswith("DELETE"):
                return NOTHING
            if line.startswith("PUT"):
                return ok(b"welcome")
            if line not in self.kept:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        self.kept.setdefault(line, await self.down.get())
            return ok(self.kept.setdefault(line, b""))


@contextlib.asynccontextmanager
async def carried(path: Path, pacing: Pacing, feed: ScriptedFeed) -> AsyncIterator[None]:
    async def run(client: HttpClient) -> None:
        carrier = PollCarrier(client, Methods(), pacing)
        assert await carrier.open(b"hello") == b"welcome"
        with contextlib.suppress(CarrierError):
            await carrier.run(feed)

    server: tuple[HttpClient, Origin]
    async with answering(path) as server, asyncio.TaskGroup() as tasks:
        task = tasks.create_task(run(server[0]))
        yield
        task.cancel()


async def test_moves_both_ways() -> None:
    path, feed = Path(serial=False), ScriptedFeed()
    async with carried(path, Pacing(), feed):
        feed.give(b"up")
        path.down.put_nowait(b"down")
        await until(lambda: feed.came == b"down" and path.ups == [b"up"])


def _sent_or_serial(path: Path, pacing: Pacing, before: int) -> Callable[[], bool]:
    return lambda: len(path.ups) > before or pacing.is_serial


@pytest.mark.slow
async def test_takes_turns_where_a_small_piece_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "LATE_SECONDS", 0.01)
    monkeypatch.setattr(calls, "OVERTAKEN_SECONDS", 0.0)
    path, feed, pacing = Path(serial=True), ScriptedFeed(0.0), Pacing()
    async with carried(path, pacing, feed):
        for _ in range(20):
            before = len(path.ups)
            feed.give(b"up")
            await until(_sent_or_serial(path, pacing, before))
        assert pacing.is_serial
        feed.give(b"the last")
        path.down.put_nowait(b"down")
        await until(lambda: path.ups[-1].endswith(b"the last") and feed.came == b"down")


async def test_goes_on_as_before_where_turns_do_not_help(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calls, "STUCK_SECONDS", 0.01)
    monkeypatch.setattr(poll, "helped", lambda seconds, delay: False)
    path, feed, pacing = Path(serial=False), ScriptedFeed(0.0), Pacing()
    async with carried(path, pacing, feed):
        feed.give(b"up")
        path.down.put_nowait(b"down")
        await until(lambda: feed.came == b"down" and path.ups == [b"up"])
        assert not pacing.is_serial
