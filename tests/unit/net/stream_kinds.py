"""Every kind of stream there is, for the conformance test: add yours to `KINDS`."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import pytest
import trustme

from tests.unit.tunnel.joined import tunnel_streams
from underpass.net.connect import connect_tcp, connect_tls
from underpass.net.stream import Stream
from underpass.net.transport import TransportStream
from underpass.testing.memory import stream_pair

LOOPBACK = ipaddress.ip_address("127.0.0.1")
SECONDS = 5.0

Pair = tuple[Stream, Stream]


@dataclass(frozen=True)
class Kind:
    """One kind: how two ends of a stream are made, and what it can't do.

    `make` frees both ends when it is left.
    """

    name: str
    make: Callable[[], AbstractAsyncContextManager[Pair]]
    half_closes: bool = True
    resets: bool = True
    tells_quiet: bool = True


async def accepted(sock: socket.socket, context: ssl.SSLContext | None = None) -> TransportStream:
    """A stream on a socket that somebody connected to, as a listener makes it."""
    sock.setblocking(False)
    stream = TransportStream()
    loop = asyncio.get_running_loop()
    await loop.connect_accepted_socket(lambda: stream, sock, ssl=context)
    return stream


@contextlib.asynccontextmanager
async def freeing(one: TransportStream, other: TransportStream) -> AsyncIterator[Pair]:
    try:
        yield one, other
    finally:
        for stream in (one, other):
            stream.abort()
            await stream.wait_flushed(SECONDS)


@contextlib.asynccontextmanager
async def tcp() -> AsyncIterator[Pair]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = await connect_tcp(LOOPBACK, listener.getsockname()[1], SECONDS)
        there = await accepted(listener.accept()[0])
    async with freeing(here, there) as pair:
        yield pair


@contextlib.asynccontextmanager
async def unix() -> AsyncIterator[Pair]:
    one, other = socket.socketpair()
    async with freeing(await accepted(one), await accepted(other)) as pair:
        yield pair


@contextlib.asynccontextmanager
async def tls() -> AsyncIterator[Pair]:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = await connect_tcp(LOOPBACK, listener.getsockname()[1], SECONDS)
        sock = listener.accept()[0]
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(accepted(sock, server))
        here = await connect_tls(here, client, "localhost", SECONDS)
    async with freeing(here, serving.result()) as pair:
        yield pair


@contextlib.asynccontextmanager
async def memory() -> AsyncIterator[Pair]:
    yield stream_pair()


KINDS = (
    Kind("tcp", tcp),
    Kind("unix", unix, resets=False),
    Kind("tls", tls, half_closes=False),
    Kind("memory", memory),
    Kind("tunnel", tunnel_streams),
)

HALF_CLOSING = [kind for kind in KINDS if kind.half_closes]
RESETTING = [kind for kind in KINDS if kind.resets]

half_closing = pytest.mark.parametrize("kind", HALF_CLOSING, ids=lambda kind: kind.name)
resetting = pytest.mark.parametrize("kind", RESETTING, ids=lambda kind: kind.name)
