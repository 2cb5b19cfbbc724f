"""Messages over a WebSocket: whole, bounded, in whatever pieces they come."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.unit.carriers.script import ScriptedFeed, until
from underpass.carriers import websocket_messages
from underpass.carriers.base import CarrierError
from underpass.carriers.websocket_frames import FrameReader
from underpass.carriers.websocket_messages import (
    Messages,
    accept_value,
    run_messages,
)
from underpass.errors import RemoteProtocolError
from underpass.testing.memory import MemoryStream, stream_pair


def joined() -> tuple[Messages, Messages]:
    here, there = stream_pair()
    return Messages(here, is_client=True), Messages(there, is_client=False)


def server() -> tuple[MemoryStream, Messages]:
    """A raw server and the client's messages."""
    here, there = stream_pair()
    return there, Messages(here, is_client=True)


def test_the_answer_to_a_key_is_the_standards() -> None:
    assert accept_value(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


async def test_messages_arrive_whole_both_ways() -> None:
    client, other = joined()
    await client.send(b"up")
    assert await other.receive_one() == b"up"
    await other.send(b"down")
    assert await client.receive_one() == b"down"
    assert client.silence < 1


async def test_one_is_taken_and_the_rest_is_left() -> None:
    raw, client = server()
    await raw.send(b"\x82\x01a\x82\x01b\x82\x01c")
    assert await client.receive_one() == b"a"
    assert await client.receive_one() == b"b"
    feed = ScriptedFeed()
    await raw.send_eof()
    with pytest.raises(CarrierError, match="closed"):
        await run_messages(client, feed)
    assert feed.came == b"c"


async def test_a_message_in_parts_is_one() -> None:
    raw, client = server()
    await raw.send(b"\x02\x01a\x00\x01b")
    await raw.send(b"\x80\x01c")
    assert await client.receive_one() == b"abc"


async def test_the_end_before_a_message_is_none() -> None:
    raw, client = server()
    await raw.send(b"\x02\x01a")
    await raw.send_eof()
    assert await client.receive_one() is None


async def test_a_ping_before_the_first_message_is_answered() -> None:
    raw, client = server()
    await raw.send(b"\x89\x02hi\x82\x01a")
    assert await client.receive_one() == b"a"
    assert (await raw.receive())[:1] == b"\x8a"


async def test_a_close_before_the_first_message_is_answered_and_an_end() -> None:
    raw, client = server()
    await raw.send(b"\x88\x02\x03\xe8")
    assert await client.receive_one() is None
    assert (await raw.receive())[:1] == b"\x88"


async def test_a_first_message_too_long_in_its_parts_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket_messages, "MAX_MESSAGE_BYTES", 3)
    raw, client = server()
    await raw.send(b"\x02\x02ab\x00\x02cd")
    with pytest.raises(RemoteProtocolError, match="too long"):
        await client.receive_one()


async def test_pings_while_a_feed_moves_are_answered_the_latest_alone() -> None:
    raw, client = server()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run_messages(client, ScriptedFeed()))
        await raw.send(b"\x89\x01a\x89\x01b")
        answer = await raw.receive()
        running.cancel()
    reader = FrameReader(is_masked=True)
    reader.feed(answer.replace(b"\x8a", b"\x89", 1))
    assert reader.ping == b"b"


async def test_a_close_while_a_feed_moves_is_answered_and_an_end() -> None:
    raw, client = server()
    await raw.send(b"\x82\x01a\x88\x02\x03\xe8\x82\x01b")
    feed = ScriptedFeed()
    async with asyncio.TaskGroup() as tasks:
        answer = tasks.create_task(raw.receive())
        with pytest.raises(CarrierError, match="closed"):
            await run_messages(client, feed)
    assert feed.came == b"a"
    assert answer.result()[:2] == b"\x88\x82"


async def test_what_is_no_websocket_ends_a_feeds_carrier() -> None:
    raw, client = server()
    await raw.send(b"\x81\x01a")
    with pytest.raises(CarrierError, match=r"cut.*not a binary message"):
        await run_messages(client, ScriptedFeed())


async def test_records_of_many_bytes_arrive_and_wait_where_there_is_no_room() -> None:
    client, other = joined()
    here, there = ScriptedFeed(), ScriptedFeed()
    sent = [bytes([n]) * 60_000 for n in range(12)]
    here.give(*sent[:6])
    there.give(*sent[6:])
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(run_messages(client, here)),
            tasks.create_task(run_messages(other, there)),
        ]
        await until(lambda: len(here.came) == len(there.came) == 6 * 60_000)
        for task in running:
            task.cancel()
    assert there.came == b"".join(sent[:6])
    assert here.came == b"".join(sent[6:])


async def test_nothing_is_taken_while_the_stream_is_full() -> None:
    raw, client = server()
    feed = ScriptedFeed()
    feed.give(*[bytes(60_000)] * 40)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run_messages(client, feed))
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(feed.waiting) >= 36
        running.cancel()
    assert raw.is_lost


async def test_a_feed_is_moved_both_ways_and_the_last_word_is_delivered() -> None:
    client, other = joined()
    here, there = ScriptedFeed(), ScriptedFeed()
    ends: list[str] = []

    async def run(messages: Messages, feed: ScriptedFeed) -> None:
        try:
            await run_messages(messages, feed)
        except CarrierError as error:
            ends.append(error.reason)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run(client, here))
        tasks.create_task(run(other, there))
        here.give(b"up")
        there.give(b"down")
        await until(lambda: (here.came, there.came) == (b"down", b"up"))
        here.give(b"farewell")
        here.end("the session is over")
    assert there.came == b"upfarewell"
    assert ends == ["the session is over", "the WebSocket was closed"]


async def test_a_cut_is_an_end() -> None:
    client, other = joined()
    other.stream.abort()
    with pytest.raises(CarrierError, match="cut"):
        await run_messages(client, ScriptedFeed())


async def test_cancelling_frees_the_stream() -> None:
    client, other = joined()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.01):
            await run_messages(client, ScriptedFeed())
    assert other.stream.is_lost
