"""POSTs: in order of numbers, the same again, smaller where a box objects."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.unit.carriers.script import NOTHING, ScriptedFeed, answering, ok, refused, until
from underpass.carriers.base import CarrierError
from underpass.carriers.calls import Calls
from underpass.carriers.http_client import HttpClient
from underpass.carriers.pacing import FIRST_SIZE, Pacing
from underpass.carriers.up import Up


class Script:
    """Answers POSTs from a list, 204 at its end, and keeps what came."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.posts: list[tuple[str, bytes]] = []

    async def __call__(self, line: str, body: bytes) -> bytes:
        self.posts.append((line, body))
        return self.answers.pop(0) if self.answers else NOTHING


@contextlib.asynccontextmanager
async def running(client: HttpClient, feed: ScriptedFeed) -> AsyncIterator[Calls]:
    calls = Calls(client, "T", Pacing())
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(Up(calls).run(feed))
        yield calls
        task.cancel()


async def test_sends_pieces_under_numbers() -> None:
    script, feed = Script(), ScriptedFeed()
    async with answering(script) as (client, _), running(client, feed):
        feed.give(b"one")
        await until(lambda: len(script.posts) == 1)
        feed.give(b"two", b"three")
        await until(lambda: len(script.posts) == 2)
    assert script.posts == [("POST /T/0", b"one"), ("POST /T/1", b"twothree")]


async def test_sends_the_same_again_under_the_same_number() -> None:
    script, feed = Script(refused(503)), ScriptedFeed()
    async with answering(script) as (client, _), running(client, feed):
        feed.give(b"one")
        await until(lambda: len(script.posts) == 2)
    assert script.posts == [("POST /T/0", b"one")] * 2
    assert feed.returned == []


async def test_gives_back_what_a_box_finds_too_large() -> None:
    script, feed = Script(refused(413)), ScriptedFeed()
    record = bytes(FIRST_SIZE)
    async with answering(script) as (client, _), running(client, feed) as calls:
        feed.give(record)
        await until(lambda: len(script.posts) == 2)
        assert calls.pacing.up.size == FIRST_SIZE // 2
    assert script.posts[1] == ("POST /T/0", b"")
    assert feed.returned == [record]


async def test_cuts_a_record_that_is_longer_than_a_piece() -> None:
    script, feed = Script(), ScriptedFeed()
    async with answering(script) as (client, _), running(client, feed):
        feed.give(bytes(FIRST_SIZE) + b"rest")
        await until(lambda: len(script.posts) == 2)
    assert sorted(script.posts) == [("POST /T/0", bytes(FIRST_SIZE)), ("POST /T/1", b"rest")]


async def test_ends_where_the_server_does_not_know_the_carrier() -> None:
    script, feed = Script(refused(404)), ScriptedFeed()
    feed.give(b"one")
    async with answering(script) as (client, _):
        with pytest.raises(BaseExceptionGroup) as caught:
            await Up(Calls(client, "T", Pacing())).run(feed)
    assert caught.group_contains(CarrierError)
    assert len(script.posts) == 1


async def test_an_answer_in_the_servers_place_is_none() -> None:
    script, feed = Script(ok(b"welcome to the hotel")), ScriptedFeed()
    feed.give(b"one")
    async with answering(script) as (client, _):
        with pytest.raises(BaseExceptionGroup) as caught:
            await Up(Calls(client, "T", Pacing())).run(feed)
    assert caught.group_contains(CarrierError, match="in the server's place")


async def test_the_last_word_is_brought_over_before_the_end() -> None:
    script, feed = Script(), ScriptedFeed()
    feed.give(b"farewell")
    feed.end("the session is over")
    async with answering(script) as (client, _):
        with pytest.raises(BaseExceptionGroup) as caught:
            await Up(Calls(client, "T", Pacing())).run(feed)
    assert caught.group_contains(CarrierError, match="session is over")
    assert script.posts == [("POST /T/0", b"farewell")]


async def test_sends_all_there_is_one_after_the_other() -> None:
    script, feed = Script(), ScriptedFeed()
    feed.give(bytes(FIRST_SIZE) + b"rest", b"more")
    async with answering(script) as (client, one):
        await Up(Calls(client, "T", Pacing())).send_all(feed)
        assert one.accepted == 1
    assert [line for line, _ in script.posts] == ["POST /T/0", "POST /T/1", "POST /T/2"]
