"""One stream on two descriptors."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from underpass.errors import StreamReset
from underpass.frontends import stdio
from underpass.frontends.stdio import relay_stdio
from underpass.testing.memory import stream_pair

SECONDS = 5.0


@dataclass
class Pipes:
    """The program's ends of its output and input, and ours."""

    speak: int
    source: int
    listen: int
    sink: int


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    source, speak = os.pipe()
    listen, sink = os.pipe()
    made = Pipes(speak, source, listen, sink)
    yield made
    for descriptor in (speak, source, listen, sink):
        try:
            os.close(descriptor)
        except OSError:
            # Closed by the test, or by what it tests.
            continue


async def heard(pipes: Pipes) -> bytes:
    """All that the program gets."""

    def read() -> bytes:
        received = b""
        while data := os.read(pipes.listen, 65536):
            received += data
        return received

    return await asyncio.to_thread(read)


async def test_bytes_go_both_ways_until_both_have_ended(pipes: Pipes) -> None:
    here, there = stream_pair()
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
        relaying = tasks.create_task(relay_stdio(here, pipes.source, pipes.sink))
        os.write(pipes.speak, b"up")
        assert await there.receive() == b"up"
        await there.send(b"down")
        os.close(pipes.speak)
        assert await there.receive() == b""
        await there.send(b", after the end of input")
        await there.send_eof()
        assert await heard(pipes) == b"down, after the end of input"
        await relaying


async def test_much_goes_whole_though_a_pipe_holds_little(pipes: Pipes) -> None:
    here, there = stream_pair()
    data = os.urandom(1_000_000)
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(relay_stdio(here, pipes.source, pipes.sink))
        hearing = tasks.create_task(heard(pipes))
        os.close(pipes.speak)
        await there.send(data)
        await there.send_eof()
        assert await hearing == data


async def test_the_far_ends_end_comes_at_once(pipes: Pipes) -> None:
    here, there = stream_pair()
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
        relaying = tasks.create_task(relay_stdio(here, pipes.source, pipes.sink))
        await there.send_eof()
        assert await heard(pipes) == b""
        # The program may still speak.
        os.write(pipes.speak, b"last words")
        assert await there.receive() == b"last words"
        os.close(pipes.speak)
        await relaying


async def test_input_that_never_ends_is_left_after_a_while(
    pipes: Pipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdio, "END_SECONDS", 0.01)
    here, there = stream_pair()
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
        relaying = tasks.create_task(relay_stdio(here, pipes.source, pipes.sink))
        await there.send_eof()
        await relaying


async def test_nobody_who_reads_our_output_ends_it(pipes: Pipes) -> None:
    here, there = stream_pair()
    os.close(pipes.listen)
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
        relaying = tasks.create_task(relay_stdio(here, pipes.source, pipes.sink))
        while not relaying.done():
            await there.send(b"down")
            await asyncio.sleep(0.001)


async def test_a_reset_is_raised(pipes: Pipes) -> None:
    here, there = stream_pair()
    async with asyncio.timeout(SECONDS):
        there.abort()
        with pytest.raises(StreamReset):
            await relay_stdio(here, pipes.source, pipes.sink)
