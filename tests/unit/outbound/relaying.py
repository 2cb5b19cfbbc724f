"""Proxies that really relay, and servers that answer, for routes to be tried over."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import trustme

from tests.unit.outbound.parents import SECONDS, Script

AUTHORITY = trustme.CA()
OK = b"HTTP/1.1 200 OK\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


@dataclass
class Heads:
    """A script that answers every request, and remembers the heads."""

    heads: list[bytes] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(ANSWER)


@dataclass
class Relay:
    """A proxy's script: relays whatever CONNECT names to a port of this machine."""

    port: int
    targets: list[bytes] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.targets.append(head.split(b"\r\n")[0])
        assert head.startswith(b"CONNECT ")
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(OK)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(pump(reader, onward_writer))
                tasks.create_task(pump(onward_reader, writer))
        finally:
            onward_writer.transport.abort()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def server(script: Script, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Run `script` on every stream, whatever becomes of it; the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                async with asyncio.timeout(SECONDS):
                    await script(reader, writer)
        finally:
            writer.transport.abort()

    running: list[asyncio.Task[None]] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if one.is_serving():
            running.append(tasks.create_task(serve(reader, writer)))
        else:
            writer.transport.abort()

    async with asyncio.TaskGroup() as tasks:
        one = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
        try:
            yield one.sockets[0].getsockname()[1]
        finally:
            one.close()
            # What the test let go of ends by itself; the rest is ended.
            await asyncio.sleep(0)
            if running:
                await asyncio.wait(running, timeout=1.0)
            for task in running:
                task.cancel()
