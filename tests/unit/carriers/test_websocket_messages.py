"""Messages over a WebSocket: whole, bounded, in whatever pieces they come."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.unit.carriers.script import ScriptedFeed, until
from underpass.carriers.base import CarrierError
from underpass.carriers.websocket_messages import (
    MAX_MESSAGE_BYTES,
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
    assert await other.receive() == [b"up"]
    await other.send(b"down")
    assert await client.receive() == [b"down"]
    assert client.silence < 1


async def test_one_is_taken_and_the_rest_is_kept() -> None:
    raw, client = server()
    await raw.send(b"\x82\x01a\x82\x01b\x82\x01c")
    assert await client.receive_one() == b"a"
    assert await client.receive() == [b"b", b"c"]
    await raw.send_eof()
    assert await client.receive_one() is None


async def test_a_message_in_parts_is_one() -> None:
    raw, client = server()
    await raw.send(b"\x02\x01a\x00\x01b\x80\x01c")
    assert await client.receive() == [b"abc"]


async def test_a_ping_is_answered() -> None:
    raw, client = server()
    await raw.send(b"\x89\x02hi\x82\x01a")
    assert await client.receive() == [b"a"]
    assert (await raw.receive())[:1] == b"\x8a"


async def test_a_close_is_an_end() -> None:
    raw, client = server()
    await raw.send(b"\x88\x02\x03\xe8")
    assert await client.receive() == []


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\x01a",
        b"\xff\x00",
        b"\x82\x7f" + (MAX_MESSAGE_BYTES + 1).to_bytes(8, "big"),
        b"\x82\x81\0\0\0\0a",
        b"\x80\x01a",
    ],
)
async def test_what_is_no_message_of_ours_is_the_other_ends_fault(data: bytes) -> None:
    raw, client = server()
    await raw.send(data)
    await raw.send_eof()
    with pytest.raises(RemoteProtocolError):
        await client.receive()


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
