"""A stream through a tunnel, beyond what the contract of every stream says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.unit.tunnel.joined import PIECE, Joined, steps
from underpass.errors import StreamClosed, StreamError, StreamReset, StreamTimeout
from underpass.protocol.frames import CloseCode, ResetCode
from underpass.protocol.stream_table import StreamLimits
from underpass.tunnel.tunnel_stream import SEND_PIECE, TunnelStream


async def test_each_direction_ends_on_its_own() -> None:
    ends = Joined()
    here, there = await ends.open()
    await here.send(b"question")
    await here.send_eof()
    await here.send_eof()
    ends.pump()
    assert [await there.receive(), await there.receive()] == [b"question", b""]
    # Read after the end: still the end.
    assert await there.receive() == b""
    await there.send(b"answer")
    await there.close()
    ends.pump()
    assert [await here.receive(), await here.receive()] == [b"answer", b""]
    with pytest.raises(StreamClosed):
        await here.send(b"more")
    await here.close()
    assert ends.client.stream_count == ends.server.stream_count == 0


async def test_what_is_unread_comes_first_and_in_pieces_of_the_limit() -> None:
    ends = Joined()
    here, there = await ends.open()
    await here.send(b"world")
    await here.send_eof()
    ends.pump()
    there.unread(b"hello ")
    there.unread(b"")
    assert not there.is_quiet
    assert [await there.receive(4), await there.receive(4)] == [b"hell", b"o "]
    assert [await there.receive(3), await there.receive(), await there.receive()] == [
        b"wor",
        b"ld",
        b"",
    ]
    # Even after the end.
    there.unread(b"ld")
    assert [await there.receive(), await there.receive()] == [b"ld", b""]


async def test_what_is_unread_is_there_after_a_reset() -> None:
    ends = Joined()
    here, there = await ends.open()
    there.unread(b"known")
    here.abort()
    ends.pump()
    assert await there.receive() == b"known"
    with pytest.raises(StreamReset):
        await there.receive()


async def test_a_sender_waits_while_much_waits_and_goes_on_when_it_is_read() -> None:
    ends = Joined(StreamLimits(initial_window=PIECE))
    here, there = await ends.open()
    size = 64 * SEND_PIECE
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(here.send(bytes(size)))
        await steps()
        ends.pump()
        await steps()
        assert not sending.done()
        assert ends.client.is_clogged(here.id)
        left = size
        while left:
            left -= len(await there.receive())
            ends.pump()
            await steps()
        await sending
    assert not ends.client.is_clogged(here.id)


CODES = [
    (ResetCode.RESET, StreamReset, "reset at the far end"),
    (ResetCode.INTERNAL, StreamReset, "reset at the far end"),
    (ResetCode.TIMEOUT, StreamTimeout, "timed out at the far end"),
    (ResetCode.SESSION_LOST, StreamReset, "the tunnel's session was lost"),
    (99, StreamReset, "reset at the far end"),
]


@pytest.mark.parametrize(("code", "kind", "words"), CODES)
async def test_why_it_was_reset_is_told(code: int, kind: type[StreamError], words: str) -> None:
    stream = TunnelStream(Joined().client, 1, None)
    assert repr(stream) == "<TunnelStream 1 OPEN>"
    stream.was_reset(code)
    assert stream.is_lost
    assert not stream.is_quiet
    assert repr(stream) == "<TunnelStream 1 RESET>"
    for call in (stream.receive(), stream.send(b"x")):
        with pytest.raises(kind, match=words):
            await call
    # Nothing more is asked of the session, which knows no such stream.
    await stream.send_eof()
    stream.abort()
    stream.abort()
    await stream.close()
    assert repr(stream) == "<TunnelStream 1 CLOSED>"


@pytest.mark.parametrize("resetter", ["client", "server"])
async def test_a_reset_goes_both_ways(resetter: str) -> None:
    ends = Joined()
    here, there = await ends.open()
    one, other = (here, there) if resetter == "client" else (there, here)
    one.abort()
    ends.pump()
    with pytest.raises(StreamClosed):
        await one.receive()
    with pytest.raises(StreamReset):
        await other.receive()
    assert ends.client.stream_count == ends.server.stream_count == 0


async def test_one_that_is_lost_can_still_be_closed() -> None:
    ends = Joined()
    here, there = await ends.open()
    there.abort()
    ends.pump()
    here.close_soon()
    with pytest.raises(StreamClosed):
        await here.receive()


def receiving(stream: TunnelStream) -> Awaitable[object]:
    return stream.receive()


def sending(stream: TunnelStream) -> Awaitable[object]:
    return stream.send(bytes(64 * SEND_PIECE))


@pytest.mark.parametrize("call", [receiving, sending])
async def test_the_loss_of_the_session_wakes_who_waits(
    call: Callable[[TunnelStream], Awaitable[object]],
) -> None:
    ends = Joined()
    here, _ = await ends.open()

    async def expect_reset() -> None:
        with pytest.raises(StreamReset, match="session was lost"):
            await call(here)

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(expect_reset())
        await steps()
        assert not waiting.done()
        ends.client.session.abort(CloseCode.EXPIRED, "no carrier")
        ends.client.settle()


@pytest.mark.parametrize("call", [receiving, sending])
async def test_who_has_stopped_waiting_is_not_woken(
    call: Callable[[TunnelStream], Awaitable[object]],
) -> None:
    ends = Joined()
    here, there = await ends.open()

    async def wait() -> None:
        await call(here)

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(wait())
        await steps()
        waiting.cancel()
        await steps()
        await there.send(b"hello")
        ends.pump()
    assert waiting.cancelled()
    assert await here.receive() == b"hello"
    here.abort()


async def test_it_is_quiet_while_nothing_waits_and_nobody_has_ended() -> None:
    ends = Joined()
    here, there = await ends.open()
    assert [here.is_quiet, there.is_quiet] == [True, True]
    await here.send_eof()
    ends.pump()
    assert [here.is_quiet, there.is_quiet] == [False, False]
