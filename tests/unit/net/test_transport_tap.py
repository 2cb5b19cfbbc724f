"""The contract of `Tap`, held to by every kind of stream that pours, which are all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.unit.net.stream_kinds import SECONDS, Pair, half_closing, resetting
from underpass.errors import StreamError, StreamReset
from underpass.net.stream import Stream, Tap
from underpass.protocol.frames import Payload

# More than all buffers on the way hold together.
MUCH = 8 * 1024 * 1024


class Heard:
    """A sink that keeps what it is told."""

    def __init__(self, stream: Stream) -> None:
        self.data = bytearray()
        self.ends = 0
        self.losses: list[StreamError | None] = []
        self.readies = 0
        self.tap: Tap = stream.pour(self)

    def came(self, data: Payload) -> None:
        assert data
        self.data += data

    def ended(self) -> None:
        self.ends += 1

    def lost(self, error: StreamError | None) -> None:
        self.losses.append(error)

    def ready(self) -> None:
        self.readies += 1


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0)


async def some_turns() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


async def test_what_comes_is_told_and_what_came_before_first(pair: Pair) -> None:
    here, there = pair
    assert here.can_pour
    await there.send(b"one ")
    here.unread(await here.receive())
    heard = Heard(here)
    await there.send(b"two")
    await some_turns()
    assert not heard.data
    heard.tap.go_on()
    await until(lambda: bytes(heard.data) == b"one two")


async def test_what_is_put_arrives_in_order(pair: Pair) -> None:
    here, there = pair
    tap = Heard(here).tap
    tap.go_on()
    tap.put(b"one ")
    tap.put(b"two ", memoryview(b"three "), b"four")
    data = b""
    while len(data) < len(b"one two three four"):
        data += await there.receive()
    assert data == b"one two three four"


@pytest.mark.slow
async def test_one_that_is_held_costs_its_sender_its_place(pair: Pair) -> None:
    here, there = pair
    heard = Heard(here)
    heard.tap.go_on()
    heard.tap.hold()
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(there.send(bytes(MUCH)))
        await some_turns()
        assert len(heard.data) < MUCH // 2
        assert not sending.done()
        heard.tap.go_on()
        await until(lambda: len(heard.data) == MUCH)


async def test_one_that_is_full_says_when_it_takes_more(pair: Pair) -> None:
    here, there = pair
    heard = Heard(here)
    heard.tap.go_on()
    put = 0
    async with asyncio.timeout(SECONDS):
        while not heard.tap.is_full:
            heard.tap.put(bytes(64 * 1024))
            put += 64 * 1024
            await asyncio.sleep(0)
    assert not heard.readies
    read = 0
    while read < put:
        read += len(await there.receive())
    await until(lambda: heard.readies > 0)
    assert not heard.tap.is_full


@half_closing
async def test_each_direction_ends_on_its_own_and_once(pair: Pair) -> None:
    here, there = pair
    heard = Heard(here)
    heard.tap.go_on()
    await there.send_eof()
    await until(lambda: heard.ends == 1)
    heard.tap.put(b"on")
    heard.tap.go_on()
    heard.tap.end_sending()
    heard.tap.put(b"too late")
    assert await there.receive() == b"on"
    assert await there.receive() == b""
    assert heard.ends == 1


@resetting
async def test_a_reset_is_told_once_and_then_nothing_can_be_put(pair: Pair) -> None:
    here, there = pair
    heard = Heard(here)
    heard.tap.go_on()
    there.abort()
    await until(lambda: bool(heard.losses))
    heard.tap.put(b"nowhere")
    heard.tap.go_on()
    await some_turns()
    assert [type(loss) for loss in heard.losses] == [StreamReset]


@resetting
async def test_a_reset_before_the_first_word_is_told(pair: Pair) -> None:
    here, there = pair
    there.abort()
    await until(lambda: here.is_lost)
    heard = Heard(here)
    heard.tap.go_on()
    assert [type(loss) for loss in heard.losses] == [StreamReset]


async def test_an_end_before_the_first_word_is_told_after_what_came(pair: Pair) -> None:
    here, there = pair
    await there.send(b"last")
    here.unread(await here.receive())
    await there.send_eof()
    heard = Heard(here)
    heard.tap.go_on()
    await until(lambda: bool(heard.ends or heard.losses))
    assert bytes(heard.data) == b"last"


async def test_once_it_is_stopped_receive_has_what_comes(pair: Pair) -> None:
    here, there = pair
    heard = Heard(here)
    heard.tap.go_on()
    await there.send(b"one")
    await until(lambda: bytes(heard.data) == b"one")
    heard.tap.stop()
    await there.send(b"two")
    assert await here.receive() == b"two"
    await here.send(b"three")
    assert await there.receive() == b"three"
    assert bytes(heard.data) == b"one"
