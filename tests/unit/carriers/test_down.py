"""Requests that wait at the server, in order of their numbers."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.carriers.script import ScriptedFeed, answering, ok, refused, until
from underpass.carriers.base import CarrierError
from underpass.carriers.calls import Calls
from underpass.carriers.down import Down
from underpass.carriers.methods import Methods
from underpass.carriers.pacing import Pacing


async def test_puts_answers_in_order_and_asks_for_the_next() -> None:
    lines: list[str] = []
    first = asyncio.Event()

    async def answer(line: str, body: bytes) -> bytes:
        lines.append(line)
        number = int(line.rsplit("/", 1)[1])
        if number == 0:
            await first.wait()
        if number > 2:
            await asyncio.Event().wait()
        return ok(b"%d;" % number)

    feed = ScriptedFeed()
    async with answering(answer) as (client, _), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(Down(Calls(client, "T", Pacing()), Methods()).run(feed))
        await until(lambda: len(lines) == 4)
        assert feed.came == b""
        first.set()
        await until(lambda: feed.came == b"0;1;2;")
        task.cancel()
    assert sorted(lines)[:3] == ["GET /T/0", "GET /T/1", "GET /T/2"]


async def test_asks_again_under_the_same_number() -> None:
    answers = [refused(502), ok(b"here")]

    async def answer(line: str, body: bytes) -> bytes:
        assert line == "POST /T/down/0"
        return answers.pop(0)

    feed = ScriptedFeed()
    async with answering(answer) as (client, _):
        await Down(Calls(client, "T", Pacing()), Methods.parse("POST")).ask_once(feed, 1.0)
    assert feed.came == b"here"


async def test_ends_where_the_server_does_not_know_the_carrier() -> None:
    async def answer(line: str, body: bytes) -> bytes:
        return refused(404)

    async with answering(answer) as (client, _):
        down = Down(Calls(client, "T", Pacing()), Methods())
        with pytest.raises(CarrierError):
            await down.ask_once(ScriptedFeed(), 1.0)
