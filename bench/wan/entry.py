"""How an application comes in at a program: by SOCKS5, by CONNECT, by a forwarded port."""

from __future__ import annotations

import asyncio
import ipaddress
import struct
from dataclasses import dataclass

from bench.generator import Entry

OPEN_SECONDS = 20.0
READ_LIMIT = 512 * 1024

GREETING = b"\x05\x01\x00"
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def socks_request(host: str, port: int) -> bytes:
    """CONNECT to a literal IPv4 address (RFC 1928 section 4)."""
    return b"\x05\x01\x00\x01" + ipaddress.IPv4Address(host).packed + struct.pack("!H", port)


@dataclass(frozen=True, slots=True)
class Way:
    """The way to the origin by a program's entry at `host` and `port`; without one straight to it.

    Behind an entry the origin is on loopback.
    """

    entry: Entry | None
    host: str
    port: int
    origin: str

    async def open(self, port: int, host_number: int = 0, first: bytes = b"") -> Ends:
        """Open a stream to a port of the origin and send `first`. Raises `OSError`, `EOFError`."""
        async with asyncio.timeout(OPEN_SECONDS):
            if self.entry is None:
                ends = await asyncio.open_connection(self.origin, port, limit=READ_LIMIT)
            else:
                ends = await asyncio.open_connection(self.host, self.port, limit=READ_LIMIT)
                try:
                    await self._ask(ends, f"127.0.0.{host_number + 1}", port)
                except BaseException:
                    ends[1].transport.abort()
                    raise
        if first:
            ends[1].write(first)
        return ends

    async def open_rashly(self, port: int, first: bytes) -> Ends:
        """The same with `first` right behind the request, before it is answered."""
        if self.entry != "socks5":
            return await self.open(port, first=first)
        async with asyncio.timeout(OPEN_SECONDS):
            ends = await asyncio.open_connection(self.host, self.port, limit=READ_LIMIT)
            reader, writer = ends
            writer.write(GREETING)
            await _expect(reader, b"\x05\x00")
            writer.write(socks_request("127.0.0.1", port) + first)
            await self._socks_answer(reader)
        return ends

    async def _ask(self, ends: Ends, host: str, port: int) -> None:
        reader, writer = ends
        if self.entry == "socks5":
            writer.write(GREETING)
            await _expect(reader, b"\x05\x00")
            writer.write(socks_request(host, port))
            await self._socks_answer(reader)
        elif self.entry == "connect":
            where = f"{host}:{port}"
            writer.write(f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if head.split()[1] != b"200":
                raise ConnectionRefusedError(f"CONNECT: {head[:60]!r}")

    async def _socks_answer(self, reader: asyncio.StreamReader) -> None:
        head = await reader.readexactly(4)
        if head[:2] != b"\x05\x00":
            raise ConnectionRefusedError(f"SOCKS: {head!r}")
        left = {1: 6, 4: 18}.get(head[3])
        if left is None:
            left = (await reader.readexactly(1))[0] + 2
        await reader.readexactly(left)


async def _expect(reader: asyncio.StreamReader, wanted: bytes) -> None:
    got = await reader.readexactly(len(wanted))
    if got != wanted:
        raise ConnectionRefusedError(f"{got!r} instead of {wanted!r}")


def parse_way(entry: str, address: str, origin: str) -> Way:
    """From the command line; `direct` as entry goes to the origin itself."""
    host, _, port = address.rpartition(":")
    found: Entry | None = None
    if entry in ("socks5", "connect", "forward"):
        found = entry  # type: ignore[assignment]  # one of the three
    return Way(found, host, int(port or 0), origin)
