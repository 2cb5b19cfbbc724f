"""A page as a browser loads it: a document, then its objects from several hosts at once."""

from __future__ import annotations

import asyncio
import time

from bench.wan.entry import Ends, Way
from bench.wan.origin import HOSTS, PIECE, PORTS, pattern_at

OBJECTS = 60
# What browsers open to one host over HTTP/1.1.
STREAMS_PER_HOST = 6
DOCUMENT = 30_000
# Sizes in turn; 1.6 MB a page with its document, near the median of the web's transfer sizes.
SIZES = (1_200, 4_000, 9_000, 2_500, 60_000, 18_000, 35_000, 800, 90_000, 40_000)
PAGE_SECONDS = 60.0


async def _get(ends: Ends, size: int) -> None:
    reader, writer = ends
    writer.write(b"GET /%d HTTP/1.1\r\nHost: page.test\r\n\r\n" % size)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(f"a wrong answer: {head[:40]!r}")
    for at in range(0, size, PIECE):
        wanted = min(PIECE, size - at)
        if await reader.readexactly(wanted) != pattern_at(at, wanted):
            raise ConnectionError("wrong bytes in an object")


async def _stream(way: Way, host: int, sizes: list[int]) -> None:
    """One stream of a browser: takes the host's next object as long as there are any."""
    if not sizes:
        return
    ends = await way.open(PORTS[host], host)
    try:
        while sizes:
            await _get(ends, sizes.pop(0))
    finally:
        ends[1].transport.abort()


def objects_of(host: int) -> list[int]:
    """The sizes of one host's objects."""
    return [SIZES[number % len(SIZES)] for number in range(OBJECTS) if number % HOSTS == host]


async def load_page(way: Way) -> float:
    """Seconds from nothing to the last byte of the last object."""
    began = time.monotonic()
    async with asyncio.timeout(PAGE_SECONDS):
        ends = await way.open(PORTS[0], 0)
        await _get(ends, DOCUMENT)
        ends[1].transport.abort()
        async with asyncio.TaskGroup() as tasks:
            for host in range(HOSTS):
                sizes = objects_of(host)
                for _ in range(min(STREAMS_PER_HOST, len(sizes))):
                    tasks.create_task(_stream(way, host, sizes))
    return time.monotonic() - began
