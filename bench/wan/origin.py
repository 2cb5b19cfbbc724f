"""The destinations at the far end of the WAN, in the server's namespace.

    python -m bench.wan.origin

Listens on every address of its namespace, which nothing leads into but the emulator: on `PORTS`,
where the first byte of a stream says what it is for, and on `GREETING_PORT`, which speaks first.

    e   echo: sends back what comes
    s   source: pushes the pattern until the other end goes
    k   sink: sends its running total (u64), often
    G   HTTP: GET /SIZE, kept alive

Prints `ready`, and serves until standard input ends.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys

import uvloop

HOSTS = 6
PORTS = tuple(range(7000, 7000 + HOSTS))
GREETING_PORT = 7100
GREETING = b"!"
# A prime: a block that is lost, repeated or swapped cannot fall on the same bytes again.
PERIOD = 65521
PIECE = 64 * 1024
# A report is due after so much, so that even 1 Mbit/s is told of often.
REPORT_BYTES = 8 * 1024
TOTAL = struct.Struct("!Q")
LARGEST_HEAD = 8 * 1024
LARGEST_OBJECT = 16 * 1024 * 1024


def make_pattern() -> bytes:
    """`PERIOD` bytes, repeated so that any piece can be cut from them."""
    word, made = 0x9E3779B97F4A7C15, bytearray()
    for _ in range(PERIOD):
        word ^= word << 13 & 0xFFFFFFFFFFFFFFFF
        word ^= word >> 7
        word ^= word << 17 & 0xFFFFFFFFFFFFFFFF
        made.append(word >> 32 & 0xFF)
    return bytes(made * 3)


PATTERN = make_pattern()


def pattern_at(position: int, size: int) -> bytes:
    """The pattern's bytes from a position of a stream on; at most `PIECE`."""
    at = position % PERIOD
    return PATTERN[at : at + size]


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(PIECE):
        writer.write(data)
        await writer.drain()


async def _source(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    position = 0
    while True:
        writer.write(pattern_at(position, PIECE))
        position += PIECE
        await writer.drain()


async def _sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    total = told = 0
    while data := await reader.read(PIECE):
        if data != pattern_at(total, len(data)):
            raise ConnectionError("wrong bytes came up")
        total += len(data)
        if total - told >= REPORT_BYTES:
            told = total
            writer.write(TOTAL.pack(total))
            await writer.drain()


async def _http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    first = b"G"
    while True:
        head = first + await reader.readuntil(b"\r\n\r\n")
        first = b""
        size = min(int(head.split()[1].removeprefix(b"/")), LARGEST_OBJECT)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for at in range(0, size, PIECE):
            writer.write(pattern_at(at, min(PIECE, size - at)))
            await writer.drain()


_SERVICES = {b"e": _echo, b"s": _source, b"k": _sink, b"G": _http}


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        service = _SERVICES[await reader.readexactly(1)]
        await service(reader, writer)
    except (OSError, EOFError, KeyError):
        # The client has gone, as they all do; what it lacks it tells.
        writer.transport.abort()
    else:
        writer.close()


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GREETING)
    try:
        await reader.read()
    except OSError:
        writer.transport.abort()
    else:
        writer.close()


async def main() -> None:
    """Serve until standard input ends."""
    for port in PORTS:
        await asyncio.start_server(_serve, "0.0.0.0", port, limit=LARGEST_HEAD * 8, backlog=256)
    await asyncio.start_server(_greet, "0.0.0.0", GREETING_PORT, backlog=256)
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    # Streams are under way that nobody needs; ending each in order would be told as errors.
    os._exit(0)


if __name__ == "__main__":
    uvloop.run(main())
