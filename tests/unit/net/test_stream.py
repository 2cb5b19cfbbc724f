"""The contract of `Stream`, held to by every kind of it (`stream_kinds.KINDS`)."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.unit.net.stream_kinds import HALF_CLOSING, SECONDS, Kind, Pair, half_closing, resetting
from underpass.address import Address
from underpass.errors import StreamClosed, StreamError, StreamReset
from underpass.net.stream import RECEIVE_SIZE, Stream

# More than all buffers on the way hold together, in kernels too.
MUCH = 16 * 1024 * 1024


async def receive_exactly(stream: Stream, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = await stream.receive(size - len(data))
        assert piece, f"ended after {len(data)} of {size} bytes"
        data += piece
    return bytes(data)


async def receive_all(stream: Stream) -> bytes:
    data = bytearray()
    while piece := await stream.receive():
        data += piece
    return bytes(data)


async def until_quiet_is(stream: Stream, value: bool) -> None:
    async with asyncio.timeout(SECONDS):
        while stream.is_quiet is not value:
            await asyncio.sleep(0)


# --- bytes


async def test_bytes_arrive_in_order_both_ways(pair: Pair) -> None:
    here, there = pair
    await here.send(b"one ")
    await here.send(b"two")
    await there.send(b"three")
    assert await receive_exactly(there, 7) == b"one two"
    assert await receive_exactly(here, 5) == b"three"


async def test_receive_returns_what_there_is_and_no_more_than_its_limit(pair: Pair) -> None:
    here, there = pair
    await here.send(b"abcdef")
    assert await there.receive(1) == b"a"
    assert await receive_exactly(there, 5) == b"bcdef"


async def test_receive_has_a_limit_of_its_own(pair: Pair) -> None:
    here, there = pair
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(here.send(bytes(8 * RECEIVE_SIZE)))
        left = 8 * RECEIVE_SIZE
        while left:
            data = await there.receive()
            assert 0 < len(data) <= max(RECEIVE_SIZE, 256 * 1024)
            left -= len(data)


async def test_sending_nothing_is_no_end(pair: Pair) -> None:
    here, there = pair
    await here.send(b"")
    await here.send(b"x")
    assert await there.receive() == b"x"


async def test_much_arrives_whole_in_both_directions_at_once(pair: Pair) -> None:
    here, there = pair
    up, down = os.urandom(MUCH // 4), os.urandom(MUCH // 4)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(here.send(up))
        tasks.create_task(there.send(down))
        got_up = tasks.create_task(receive_exactly(there, len(up)))
        got_down = tasks.create_task(receive_exactly(here, len(down)))
    assert got_up.result() == up
    assert got_down.result() == down


async def test_a_sender_waits_for_a_receiver_that_stalls(pair: Pair) -> None:
    here, there = pair
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(here.send(bytes(MUCH)))
        assert await there.receive(1)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not sending.done()
        await receive_exactly(there, MUCH - 1)
        await sending


async def test_what_is_sent_at_once_arrives_whole_and_stops_where_it_would_wait(pair: Pair) -> None:
    left, right = pair
    sent = 0
    while sent < MUCH and left.send_at_once(bytes(RECEIVE_SIZE)):
        sent += RECEIVE_SIZE
    # What is not taken at once is not taken at all: nothing of it arrives.
    assert sent < MUCH
    await left.send_eof()
    assert await receive_all(right) == bytes(sent)
    try:
        assert not left.send_at_once(b"too late")
    except StreamClosed:
        return


async def test_unread_bytes_are_received_first(pair: Pair) -> None:
    here, there = pair
    await here.send(b"world")
    data = await receive_exactly(there, 5)
    there.unread(data)
    there.unread(b"hello ")
    there.unread(b"")
    assert await receive_exactly(there, 11) == b"hello world"


async def test_a_cancelled_receive_loses_no_byte(pair: Pair) -> None:
    here, there = pair
    for number in range(20):
        async with asyncio.TaskGroup() as tasks:
            receiving = tasks.create_task(there.receive())
            await asyncio.sleep(0)
            sending = tasks.create_task(here.send(b"%02d" % number))
            for _ in range(number % 5):
                await asyncio.sleep(0)
            receiving.cancel()
            await sending
        if not receiving.cancelled():
            there.unread(receiving.result())
        assert await receive_exactly(there, 2) == b"%02d" % number


# --- the end of one direction


@half_closing
async def test_each_direction_ends_on_its_own(pair: Pair) -> None:
    here, there = pair
    await here.send(b"last words")
    await here.send_eof()
    assert await receive_all(there) == b"last words"
    assert await there.receive() == b""
    await there.send(b"an answer")
    assert await receive_exactly(here, 9) == b"an answer"
    await there.send_eof()
    assert await here.receive() == b""


@half_closing
async def test_the_end_comes_after_all_that_was_sent(pair: Pair) -> None:
    here, there = pair
    data = os.urandom(MUCH // 4)

    async def say() -> None:
        await here.send(data)
        await here.send_eof()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(say())
        got = tasks.create_task(receive_all(there))
    assert got.result() == data


@half_closing
async def test_nothing_is_sent_after_the_end(pair: Pair) -> None:
    here, there = pair
    await here.send_eof()
    await here.send_eof()
    with pytest.raises(StreamClosed):
        await here.send(b"x")
    assert await receive_all(there) == b""


async def test_ending_one_direction_never_looks_like_a_reset(pair: Pair) -> None:
    here, there = pair
    await here.send(b"last words")
    await here.send_eof()
    assert await receive_all(there) == b"last words"


# --- the end of both


async def test_close_delivers_what_was_sent(pair: Pair) -> None:
    here, there = pair
    async with asyncio.TaskGroup() as tasks:
        await here.send(b"good bye")
        tasks.create_task(here.close())
        assert await receive_all(there) == b"good bye"
        await there.close()


async def test_what_still_comes_does_not_destroy_what_was_sent(pair: Pair) -> None:
    here, there = pair
    await there.send(b"a body that nobody reads")
    await here.send(b"the answer")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(here.close())
        await there.send(b"and more of it")
        assert await receive_all(there) == b"the answer"
        await there.close()


async def test_ending_twice_does_no_harm(pair: Pair) -> None:
    here, there = pair
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(here.close())
        assert await receive_all(there) == b""
        await there.close()
    for stream in pair:
        await stream.close()
        stream.close_soon()
        stream.abort()
        stream.abort()


@pytest.mark.parametrize("end", ["close", "close_soon", "abort"])
async def test_calls_after_the_end_say_closed(pair: Pair, end: str) -> None:
    here, there = pair
    if end == "close":
        # It would wait a while for the other end to end too.
        there.abort()
    done = getattr(here, end)()
    if done is not None:
        await done
    with pytest.raises(StreamClosed):
        await here.receive()
    with pytest.raises(StreamClosed):
        await here.send(b"x")


@pytest.mark.parametrize("end", ["close_soon", "abort"])
async def test_ending_wakes_who_waits(pair: Pair, end: str) -> None:
    here, _ = pair

    async def expect_closed(stream: Stream) -> None:
        with pytest.raises(StreamClosed):
            await stream.receive()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(expect_closed(here))
        await asyncio.sleep(0)
        getattr(here, end)()


async def test_abort_wakes_a_sender_that_waits(pair: Pair) -> None:
    here, _ = pair

    async def expect_closed() -> None:
        with pytest.raises(StreamClosed):
            await here.send(bytes(MUCH))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(expect_closed())
        await asyncio.sleep(0)
        here.abort()


# --- the reset


@resetting
async def test_a_reset_is_never_a_clean_end(pair: Pair) -> None:
    here, there = pair
    here.abort()
    for _ in range(2):
        with pytest.raises(StreamReset):
            await there.receive()
    with pytest.raises(StreamReset):
        await there.send(b"x")
    assert not there.is_quiet


@resetting
async def test_a_reset_cuts_what_was_sent_before_it(pair: Pair) -> None:
    here, there = pair
    await here.send(b"some words")
    here.abort()
    # They may be lost; what comes is theirs, and no end follows it.
    with pytest.raises(StreamReset):
        await receive_all(there)


@resetting
async def test_a_reset_wakes_a_sender_that_waits(pair: Pair) -> None:
    here, there = pair

    async def expect_reset() -> None:
        with pytest.raises(StreamReset):
            await here.send(bytes(MUCH))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(expect_reset())
        assert await there.receive(1)
        there.abort()


@pytest.mark.parametrize(
    "kind", [kind for kind in HALF_CLOSING if kind.resets], ids=lambda kind: kind.name
)
async def test_a_reset_after_an_end_is_a_reset(pair: Pair) -> None:
    here, there = pair
    await here.send_eof()
    assert await there.receive() == b""
    there.abort()
    with pytest.raises(StreamReset):
        await here.receive()


async def test_who_sends_for_ever_to_a_closed_end_is_told(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("underpass.net.transport.LINGER_SECONDS", 0.01)
    here, there = pair

    async def say_for_ever() -> None:
        while True:
            await there.send(bytes(RECEIVE_SIZE))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(here.close())
        with pytest.raises(StreamError):
            await say_for_ever()


# --- what can be asked


async def test_is_quiet_while_nothing_waits_and_nobody_ended(kind: Kind, pair: Pair) -> None:
    here, there = pair
    if not kind.tells_quiet:
        assert not there.is_quiet
        return
    assert there.is_quiet
    await here.send(b"x")
    await until_quiet_is(there, False)
    await there.receive()
    assert there.is_quiet
    await here.send_eof()
    await until_quiet_is(there, False)


async def test_who_ended_is_not_quiet(pair: Pair) -> None:
    here, there = pair
    await here.send_eof()
    assert not here.is_quiet
    there.abort()
    assert not there.is_quiet


async def test_is_lost_once_the_other_end_reset_it(kind: Kind, pair: Pair) -> None:
    assert not pair[0].is_lost
    pair[1].abort()
    async with asyncio.timeout(SECONDS):
        while kind.resets and kind.tells_quiet and not pair[0].is_lost:
            await asyncio.sleep(0)


async def test_the_other_end_is_a_literal_address_or_none(pair: Pair) -> None:
    for stream in pair:
        assert stream.peer is None or stream.peer.ip is not None


def test_a_kind_that_says_nothing_of_itself_is_never_quiet_and_aborts() -> None:
    class Dumb(Stream):
        aborted = False

        async def receive(self, limit: int = RECEIVE_SIZE) -> bytes:
            return b""

        def unread(self, data: bytes) -> None:
            pass

        async def send(self, data: bytes) -> None:
            pass

        async def send_eof(self) -> None:
            pass

        async def close(self) -> None:
            pass

        def abort(self) -> None:
            self.aborted = True

        @property
        def peer(self) -> Address | None:
            return None

    stream = Dumb()
    assert not stream.is_quiet
    assert not stream.is_lost
    stream.close_soon()
    assert stream.aborted
