"""A stream as asyncio's pair of reader and writer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from underpass.client.asyncio_stream import HIGH_WATER, reader_and_writer
from underpass.errors import StreamReset
from underpass.testing.memory import MemoryStream, stream_pair

SECONDS = 5.0


@dataclass
class Ends:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    there: MemoryStream


@contextlib.asynccontextmanager
async def ends() -> AsyncIterator[Ends]:
    here, there = stream_pair()
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
        reader, writer = reader_and_writer(here, tasks)
        try:
            yield Ends(reader, writer, there)
        finally:
            writer.transport.abort()


async def test_bytes_go_both_ways() -> None:
    async with ends() as one:
        one.writer.write(b"hello ")
        one.writer.writelines([b"wor", b"", b"ld"])
        assert await one.there.receive(6) == b"hello "
        assert await one.there.receive() == b"world"
        await one.there.send(b"a line\nand more")
        assert await one.reader.readline() == b"a line\n"
        assert await one.reader.readexactly(8) == b"and more"


async def test_each_direction_ends_on_its_own() -> None:
    async with ends() as one:
        assert one.writer.can_write_eof()
        one.writer.write(b"last")
        one.writer.write_eof()
        assert await one.there.receive() == b"last"
        assert await one.there.receive() == b""
        await one.there.send(b"still")
        await one.there.send_eof()
        assert await one.reader.read() == b"still"


async def test_a_reset_is_no_end() -> None:
    async with ends() as one:
        one.there.abort()
        with pytest.raises(ConnectionResetError, match="reset by the other end"):
            await one.reader.read()
        assert one.writer.is_closing()


async def test_closing_sends_what_waits() -> None:
    async with ends() as one:
        data = bytes(200_000)
        one.writer.write(data)
        one.writer.close()
        received = b""
        while piece := await one.there.receive():
            received += piece
        assert received == data
        await one.writer.wait_closed()
        with pytest.raises(RuntimeError, match="after the end"):
            one.writer.write(b"late")


async def test_a_writer_waits_for_a_reader() -> None:
    async with ends() as one:
        one.writer.write(bytes(2 * HIGH_WATER))
        one.writer.write(bytes(HIGH_WATER))
        assert one.writer.transport.get_write_buffer_size() == 3 * HIGH_WATER
        async with asyncio.TaskGroup() as tasks:
            draining = tasks.create_task(one.writer.drain())
            for _ in range(5):
                await asyncio.sleep(0)
            assert not draining.done()
            left = 3 * HIGH_WATER
            while left:
                left -= len(await one.there.receive())
        assert draining.done()


async def test_a_reader_that_does_not_read_holds_the_sender_back() -> None:
    async with ends() as one:
        sent = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                while True:
                    await one.there.send(bytes(10_000))
                    sent += 10_000
        # asyncio's reader holds two of its limits, and the stream its buffer.
        assert sent < 500_000
        assert not one.writer.transport.is_reading()  # type: ignore[attr-defined]  # ours has it
        assert len(await one.reader.readexactly(sent)) == sent


async def test_aborting_resets_the_stream() -> None:
    async with ends() as one:
        one.writer.transport.abort()
        with pytest.raises(StreamReset):
            await one.there.receive()
