"""Both event loops, and real loopback streams to talk over."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvloop

from tests.unit.net.stream_kinds import KINDS, SECONDS, Kind
from tests.unit.net.stream_kinds import Pair as Ends
from underpass.net.connect import connect_tcp
from underpass.net.transport import TransportStream

LOOPBACK = ipaddress.ip_address("127.0.0.1")

Pair = tuple[TransportStream, socket.socket]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every test of this room runs on both loops: the behaviour is the same or it is a bug."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def make_pair() -> AsyncIterator[Callable[[], Awaitable[Pair]]]:
    """Make a stream and the plain socket at its other end."""
    made: list[Pair] = []

    async def make() -> Pair:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            stream = await connect_tcp(LOOPBACK, listener.getsockname()[1], timeout=5)
            other, _ = listener.accept()
        other.setblocking(False)
        made.append((stream, other))
        return made[-1]

    yield make
    for stream, other in made:
        stream.abort()
        await stream.wait_flushed(1)
        with contextlib.suppress(OSError):
            other.close()


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    made: Kind = request.param
    return made


@pytest.fixture
async def pair(kind: Kind) -> AsyncIterator[Ends]:
    async with asyncio.timeout(4 * SECONDS), kind.make() as ends:
        yield ends
